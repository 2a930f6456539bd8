import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { MlflowArtifacts } from '../../services/mlflow-artifacts.ts';
import { sendBlob } from '../send-blob.ts';

const ROOT = '/api/2.0/mlflow-artifacts/artifacts';
const config = { scope: 'user' as const };
const querySchema = z.object({ path: z.string().max(2048).default('') });

interface FileParams {
  Params: { '*': string };
}

/** Files of runs below the addresses that the client makes of `mlflow-artifacts:` URIs. Bodies are streamed. */
export async function addArtifactProxy(app: FastifyInstance, artifacts: MlflowArtifacts, blobs: BlobStore): Promise<void> {
  app.get(ROOT, { config }, async (request, reply) => {
    const { path } = querySchema.parse(request.query);
    const files = (await artifacts.listAt(path.replace(/\/$/, ''))).map((entry) => ({
      path: entry.path,
      is_dir: entry.isFolder,
      ...(entry.isFolder ? {} : { file_size: entry.sizeBytes }),
    }));
    return reply.type('application/json').send(JSON.stringify({ files }));
  });
  // The content of a digest never changes, that of a path does: a cache must ask.
  const onSend = async (_request: unknown, reply: FastifyReply) => void reply.header('cache-control', 'no-cache');
  app.get<FileParams>(`${ROOT}/*`, { config, onSend }, async (request, reply) => {
    const { sha256 } = await artifacts.find(request.params['*']);
    return sendBlob(blobs, sha256, request, reply);
  });
  app.delete<FileParams>(`${ROOT}/*`, { config }, async (request, reply) => {
    await artifacts.remove(request.params['*']);
    return reply.type('application/json').send('{}');
  });
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.put<FileParams>(`${ROOT}/*`, { config }, async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      // An empty file has no body at all.
      const body = request.body instanceof Readable ? request.body : Readable.from([]);
      try {
        await artifacts.save(
          request.params['*'],
          Readable.from(body.iterator({ destroyOnReturn: false }), { objectMode: false }),
          gone.signal,
        );
      } finally {
        body.resume(); // what is left unread would keep the client from reading the answer
      }
      return reply.type('application/json').send('{}');
    });
  });
}
