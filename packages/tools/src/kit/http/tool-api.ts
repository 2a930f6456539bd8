import multipart from '@fastify/multipart';
import { AppError, type ToolDescription, toAppError, toProblem } from '@selvedge/contract';
import { describeError, explainDiskError, type Logger } from '@selvedge/runtime';
import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import type { ArtifactRunner } from '../artifact-runner.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import type { Tool } from '../define-tool.ts';
import { addArtifactRoutes } from './artifact-routes.ts';
import { bearerCheck } from './bearer-auth.ts';
import { addFileRoutes } from './file-routes.ts';
import { MAX_REQUEST_BYTES, MAX_UPLOADED_FILES } from './receive-request.ts';

export interface ToolApiOptions {
  readonly tool: Tool;
  readonly describe: () => Promise<ToolDescription>;
  readonly store: ArtifactStore;
  readonly runner: ArtifactRunner;
  readonly token: string;
  readonly maxUploadBytes: number;
  readonly logger: Logger;
}

/** The HTTP face of one tool, not listening yet. Every route needs the token. */
export async function buildToolApi(options: ToolApiOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_REQUEST_BYTES,
    // Downloads that are under way when the tool stops are cut; their readers try again.
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 2048 },
  });
  const check = bearerCheck(options.token);
  app.addHook('onRequest', async (request) => check(request.headers.authorization));
  app.setErrorHandler((thrown: FastifyError | Error, request, reply) => {
    const error = asAppError(thrown);
    if (error.kind === 'bug')
      options.logger.error('request failed', { method: request.method, url: request.url, ...describeError(thrown) });
    reply.code(error.httpStatus).type('application/problem+json').send(toProblem(error, request.id));
  });
  app.setNotFoundHandler(() => {
    throw new AppError('NOT_FOUND', { message: 'There is no such route here.', hint: 'GET / describes this tool.' });
  });
  await app.register(multipart, {
    limits: {
      fieldNameSize: 128,
      fieldSize: MAX_REQUEST_BYTES,
      fields: 4,
      files: MAX_UPLOADED_FILES,
      fileSize: options.maxUploadBytes,
      parts: MAX_UPLOADED_FILES + 4,
    },
    throwFileSizeLimit: true,
  });
  addArtifactRoutes(app, options);
  addFileRoutes(app, options.store);
  return app;
}

/** Faults that Fastify itself finds (body too large, not JSON, unknown media type) get codes of our table. */
function asAppError(thrown: FastifyError | Error): AppError {
  if (thrown instanceof AppError) return thrown;
  const disk = explainDiskError(thrown, 'an upload');
  if (disk instanceof AppError) return disk;
  const status = 'statusCode' in thrown ? thrown.statusCode : undefined;
  if (status === 413) return new AppError('PAYLOAD_TOO_LARGE', { message: 'The request body is too large.' });
  if (status === 415) return new AppError('UNSUPPORTED_MEDIA', { message: 'Send application/json or multipart/form-data.' });
  if (status !== undefined && status >= 400 && status < 500) return new AppError('INPUT_INVALID', { message: thrown.message });
  return toAppError(thrown);
}
