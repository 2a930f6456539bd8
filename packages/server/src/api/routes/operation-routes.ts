import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import type { Principal } from '../../services/auth-service.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';
import { withBody } from '../with-body.ts';

/** What is asked of devices. The resources themselves are read like all others. */
export function operationRoutes({ devices, store }: ApiServices) {
  return {
    createOperation: async ({ body, principal }) => devices.operations.create({ ...body, by: nameOf(principal) }),
    cancelOperation: async ({ params, principal }) => devices.operations.cancel(params.name, nameOf(principal)),
    getUpload: async ({ params }) => devices.transfers.uploadState(params.sha256),
    putUpload: async ({ params, query, request }) =>
      withBody(request, (body) => devices.transfers.receiveUpload(params.sha256, body, query)),
    downloadOperationFile: async ({ params, query, reply }) => {
      const operation = await store.get('Operation', params.name);
      const file = operation?.status.devices.find(({ device }) => device === params.device)?.file ?? null;
      if (file === null)
        throw new AppError('NOT_FOUND', { message: `Device "${params.device}" has sent no file for operation "${params.name}".` });
      const { offset = 0 } = query;
      if (offset > file.sizeBytes) throw new AppError('INPUT_INVALID', { message: `The file has ${file.sizeBytes} bytes.` });
      const range = offset === file.sizeBytes ? undefined : { start: offset, end: file.sizeBytes - 1 };
      const content = await devices.transfers.files.open(file.sha256, range);
      if (content === undefined) throw new AppError('NOT_FOUND', { message: 'The file has been removed.' });
      reply.headers({
        'content-length': file.sizeBytes - offset,
        'content-security-policy': "default-src 'none'; sandbox",
        'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.folder === true ? `${file.name}.tar` : file.name)}`,
      });
      return reply.type('application/octet-stream').send(range === undefined ? Readable.from([]) : content);
    },
  } satisfies Partial<Handlers>;
}

function nameOf(principal: Principal | null): string {
  return principal?.name ?? 'nobody';
}
