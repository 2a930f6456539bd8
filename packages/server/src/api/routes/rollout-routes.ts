import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** Changes of what devices serve: edits, what people do with rollouts, recalls. */
export function rolloutRoutes({ rollouts }: ApiServices) {
  return {
    deployModel: async ({ params, body }) => rollouts.deploy(params.name, body),
    pauseRollout: async ({ params }) => rollouts.act(params.name, 'pause'),
    resumeRollout: async ({ params }) => rollouts.act(params.name, 'resume'),
    promoteRollout: async ({ params }) => rollouts.act(params.name, 'promote'),
    abortRollout: async ({ params, body }) => rollouts.act(params.name, 'abort', body),
    retryRollout: async ({ params }) => rollouts.act(params.name, 'retry'),
    findRecall: async ({ query }) => rollouts.findRecall(query),
    recall: async ({ body: { to, ...source } }) => rollouts.recall(source, to),
  } satisfies Partial<Handlers>;
}
