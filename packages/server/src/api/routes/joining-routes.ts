import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** How devices come to be the server's: tokens, approval, authorities. */
export function joiningRoutes({ devices }: ApiServices) {
  const { desk } = devices;
  return {
    createDeviceToken: async ({ body }) => desk.createToken(body),
    listDeviceTokens: async () => ({ items: await desk.listTokens() }),
    revokeDeviceToken: async ({ params }) => {
      await desk.revokeToken(params.id);
      return undefined;
    },
    listDeviceJoins: async () => ({ items: await desk.listJoins() }),
    approveDeviceJoin: async ({ params }) => desk.decide(params.name, 'approved'),
    rejectDeviceJoin: async ({ params }) => {
      await desk.decide(params.name, 'rejected');
      return undefined;
    },
    signDeviceRequest: async ({ body }) => desk.signRequest(body),
    getCaStatus: async () => devices.caStatus(),
    rotateCa: async ({ body }) => devices.rotateCa(body),
  } satisfies Partial<Handlers>;
}
