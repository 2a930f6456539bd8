import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { AppError, issuesOf, METRIC_VIEWS } from '@selvedge/contract';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ArtifactStore } from '../artifact-store.ts';
import { listFilePaths, listFiles } from '../list-files.ts';
import { listMetrics, readPoints } from '../metric-files.ts';
import { type FileParams, findArtifact, findCompleted, type NameParams } from './find-artifact.ts';
import { followLog } from './follow-log.ts';
import { metricQuerySchema, renderMetric } from './metric-view.ts';
import { sendFile } from './send-file.ts';
import { zipFiles } from './zip-folder.ts';

const followSchema = z.enum(['1', 'true']);
const viewSchema = z.enum(METRIC_VIEWS);

/** What an artifact holds: data, inputs, log, metrics. */
export function addFileRoutes(app: FastifyInstance, store: ArtifactStore): void {
  addDataRoutes(app, store);

  app.get<NameParams>('/artifacts/:name/input-files', async (request) => {
    const { inputFiles } = findArtifact(store, request.params.name).paths;
    return { items: (await listFiles(inputFiles)).map(({ path, sizeBytes }) => ({ name: path, sizeBytes })) };
  });

  app.get<FileParams>('/artifacts/:name/input-files/*', async (request, reply) =>
    sendFile(request, reply, findArtifact(store, request.params.name).paths.inputFiles, request.params['*']),
  );

  app.get<NameParams & { Querystring: Record<string, unknown> }>('/artifacts/:name/log', async (request, reply) => {
    const artifact = findArtifact(store, request.params.name);
    reply.type('text/plain; charset=utf-8').header('x-content-type-options', 'nosniff');
    if (!followSchema.safeParse(request.query.follow).success) {
      return artifact.logBytes === 0 ? '' : createReadStream(artifact.paths.log, { end: artifact.logBytes - 1 });
    }
    const gone = new AbortController();
    reply.raw.on('close', () => gone.abort());
    return Readable.from(followLog(artifact, gone.signal));
  });

  app.get<NameParams>('/artifacts/:name/metrics', async (request) => ({
    items: await listMetrics(findArtifact(store, request.params.name).paths.metrics),
  }));

  app.get<{ Params: { name: string; metric: string; view: string }; Querystring: Record<string, unknown> }>(
    '/artifacts/:name/metrics/:metric/:view',
    async (request, reply) => {
      const { name, metric, view } = request.params;
      const points = await readPoints(findArtifact(store, name).paths.metrics, metric.replaceAll('.', '/'));
      const wanted = viewSchema.safeParse(view);
      if (points === undefined || !wanted.success) {
        throw new AppError('NOT_FOUND', { message: 'There is no such metric or view.', hint: `Views: ${METRIC_VIEWS.join(', ')}.` });
      }
      const query = metricQuerySchema.safeParse(request.query);
      if (!query.success) {
        const issues = issuesOf(query.error);
        throw new AppError('INPUT_INVALID', {
          message: `The query is not valid: ${issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ')}.`,
          issues,
        });
      }
      const { type, body } = await renderMetric(wanted.data, points, query.data);
      return reply.type(type).send(body);
    },
  );
}

function addDataRoutes(app: FastifyInstance, store: ArtifactStore): void {
  app.get<NameParams>('/artifacts/:name/files', async (request) => ({
    items: await listFiles(findCompleted(store, request.params.name).paths.data),
  }));

  app.get<NameParams>('/artifacts/:name/data', async (request, reply) => {
    const { name, paths } = findCompleted(store, request.params.name);
    const files = await listFilePaths(paths.data);
    const [only] = files;
    if (only !== undefined && files.length === 1) return sendFile(request, reply, paths.data, only);
    return reply
      .type('application/zip')
      .header('content-disposition', `attachment; filename="${name}.zip"`)
      .send(zipFiles(paths.data, files));
  });

  app.get<FileParams>('/artifacts/:name/data/*', async (request, reply) =>
    sendFile(request, reply, findCompleted(store, request.params.name).paths.data, request.params['*']),
  );
}
