import type { Principal } from '../../services/auth-service.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** What is asked of devices. The resources themselves are read like all others. */
export function operationRoutes({ devices }: ApiServices) {
  return {
    createOperation: async ({ body, principal }) => devices.operations.create({ ...body, by: nameOf(principal) }),
    cancelOperation: async ({ params, principal }) => devices.operations.cancel(params.name, nameOf(principal)),
  } satisfies Partial<Handlers>;
}

function nameOf(principal: Principal | null): string {
  return principal?.name ?? 'nobody';
}
