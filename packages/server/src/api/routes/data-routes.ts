import { readBounded } from '@selvedge/runtime';
import type { Handlers } from '../implement.ts';
import { sendBlob } from '../send-blob.ts';
import type { ApiServices } from '../services.ts';
import { withBody } from '../with-body.ts';

/** Largest picture that is read at all; the way to the device may allow less. */
const MAX_PICTURE_BYTES = 16 * 1024 * 1024;

/** Models, and content by its digest. */
export function dataRoutes({ registry, devices, blobs }: ApiServices) {
  return {
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
