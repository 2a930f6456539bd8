import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';
import type { FastifyRequest } from 'fastify';
import type { Handlers } from '../implement.ts';
import { sendBlob } from '../send-blob.ts';
import type { ApiServices } from '../services.ts';

/** Largest picture that is read at all; the way to the device may allow less. */
const MAX_PICTURE_BYTES = 16 * 1024 * 1024;

/**
 * Gives the body of a route that takes a stream to `work`. Whatever becomes of the body, the connection stays, so that
 * a refusal in the middle of an upload still reaches the client.
 */
async function withBody<T>(request: FastifyRequest, work: (body: Readable) => Promise<T>): Promise<T> {
  const { body } = request;
  if (!(body instanceof Readable)) {
    throw new AppError('INPUT_INVALID', { message: 'The request has no body.', hint: 'Send the content with a Content-Type header.' });
  }
  try {
    return await work(Readable.from(body.iterator({ destroyOnReturn: false }), { objectMode: false }));
  } finally {
    body.resume(); // what is left unread would keep the client from reading the answer
  }
}

/** Datasets in, models out, and the content between. */
export function dataRoutes({ datasets, registry, devices, blobs }: ApiServices) {
  return {
    uploadDataset: async ({ params, query, request, signal }) =>
      withBody(request, (body) => datasets.upload(params.name, body, { ...query, signal })),
    importDataset: async ({ params, body }) => datasets.importUrl(params.name, body),
    getModel: async ({ params }) => registry.detail(params.name),
    downloadModel: async ({ params, request, reply }) => {
      const { spec } = await registry.version(params.name, params.version);
      return sendBlob(blobs, spec.file.sha256, request, reply, `${spec.model}-${spec.version}.onnx`);
    },
    infer: async ({ params, query, request, signal }) =>
      devices.infer({
        name: params.name,
        ...(query.device === undefined ? {} : { device: query.device }),
        body: await withBody(request, (body) =>
          readBounded(body, MAX_PICTURE_BYTES, `The body is larger than the limit of ${MAX_PICTURE_BYTES} bytes.`),
        ),
        contentType: request.headers['content-type'] ?? 'application/octet-stream',
        signal,
      }),
    getBlob: async ({ params, query, request, reply }) => sendBlob(blobs, params.sha256, request, reply, query.name),
  } satisfies Partial<Handlers>;
}
