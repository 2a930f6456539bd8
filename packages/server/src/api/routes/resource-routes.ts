import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** Resources of every kind, and what only devices have. */
export function resourceRoutes({ resources, store }: ApiServices) {
  return {
    apply: async ({ body }) => ({ results: await resources.apply(body.documents, { dryRun: body.dryRun === true }) }),
    listResources: async ({ params, query }) => resources.list(params.plural, query),
    getResource: async ({ params }) => resources.get(params.plural, params.name),
    deleteResource: async ({ params }) => {
      await resources.remove(params.plural, params.name);
      return undefined;
    },
    getDeviceTelemetry: async ({ params, query }) => {
      await resources.get('devices', params.name);
      return { samples: await store.readTelemetry(params.name, query.since ?? new Date(0).toISOString()) };
    },
    getDeviceResults: async ({ params, query }) => {
      await resources.get('devices', params.name);
      const sinceIso = query.since ?? new Date(0).toISOString();
      return { results: await store.readResults(params.name, { sinceIso, workload: query.workload }) };
    },
  } satisfies Partial<Handlers>;
}
