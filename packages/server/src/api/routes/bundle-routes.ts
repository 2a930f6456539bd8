import { Readable } from 'node:stream';
import type { Principal } from '../../services/auth-service.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';
import { withBody } from '../with-body.ts';

/** What devices get, and bring back, on a stick. The resources themselves are read like all others. */
export function bundleRoutes({ devices }: ApiServices) {
  return {
    createBundle: async ({ body, principal }) => devices.bundles.create({ ...body, by: nameOf(principal) }),
    downloadBundle: async ({ params, reply }) => {
      const { bundle, file } = await devices.bundles.open(params.name);
      reply.headers({
        'content-length': bundle.spec.sizeBytes,
        'content-security-policy': "default-src 'none'; sandbox",
        'content-disposition': `attachment; filename="${params.name}.tar"`,
        'cache-control': 'no-store',
      });
      return reply.type('application/x-tar').send(Readable.from(file, { objectMode: false }));
    },
    revokeBundle: async ({ params, principal }) => devices.bundles.revoke(params.name, nameOf(principal)),
    importResults: async ({ request, principal }) => withBody(request, (body) => devices.results.import(body, nameOf(principal))),
  } satisfies Partial<Handlers>;
}

function nameOf(principal: Principal | null): string {
  return principal?.name ?? 'nobody';
}
