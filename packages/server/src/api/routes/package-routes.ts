import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import { packageNotFound } from '../../services/package-not-found.ts';
import type { Handlers } from '../implement.ts';
import { sendBlob } from '../send-blob.ts';
import type { ApiServices } from '../services.ts';

/** Native packages: what they can be built for, their archives and logs, and how fast they are on devices. */
export function packageRoutes({ targets, store, blobs, packageLog, devices }: ApiServices) {
  return {
    listTargets: async () => ({ items: await targets.list() }),
    downloadPackage: async ({ params, request, reply }) => {
      const one = await store.get('Package', params.name);
      if (one === undefined) throw packageNotFound(params.name);
      const { archive, phase } = one.status;
      if (archive === null) {
        const hint = `"selvedge package show ${params.name}" tells how its build stands.`;
        throw new AppError('CONFLICT', { message: `Package "${params.name}" is not built yet (${phase}).`, hint });
      }
      return sendBlob(blobs, archive.sha256, request, reply, `${params.name}.tar.zst`, 'application/zstd');
    },
    getPackageLog: async ({ params, query, reply, signal }) => {
      const lines = await packageLog.open(params.name, { follow: query.follow === '1', signal });
      reply.type('text/plain; charset=utf-8').header('content-security-policy', "default-src 'none'; sandbox");
      return reply.send(Readable.from(lines));
    },
    benchPackage: async ({ params, body, signal }) => devices.bench({ name: params.name, ...body, signal }),
    getSigningCa: async ({ reply }) => reply.type('application/x-pem-file').send(devices.trust.caPem),
  } satisfies Partial<Handlers>;
}
