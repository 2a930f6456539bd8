import { Readable } from 'node:stream';
import { AppError, type Run } from '@selvedge/contract';
import type { Principal } from '../../services/auth-service.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

export function causeOf(principal: Principal | null): Run['spec']['cause'] {
  return { type: principal?.via === 'session' ? 'manual' : 'api', by: principal?.name ?? 'unknown' };
}

/** Runs: start, cancel, metrics, log; and the task that a pipeline is for. */
export function runRoutes({ runs, runLog, resources, store }: ApiServices) {
  return {
    startRun: async ({ params, body, principal }) => runs.start(params.name, body, causeOf(principal)),
    getPipelineTask: async ({ params }) => {
      const pipeline = await resources.get('pipelines', params.name);
      const name = pipeline.kind === 'Pipeline' ? pipeline.spec.task : undefined;
      const task = name === undefined ? undefined : await store.get('Task', name);
      if (task !== undefined) return task;
      if (name === undefined) {
        throw new AppError('NOT_FOUND', { message: `Pipeline "${params.name}" names no task.`, hint: 'Add "task" to the pipeline file.' });
      }
      throw new AppError('REFERENCE_MISSING', {
        message: `Task "${name}" does not exist.`,
        hint: 'Apply it with "selvedge apply -f FILE".',
      });
    },
    rerunRun: async ({ params, body, principal }) => runs.rerun(params.name, body.from, causeOf(principal)),
    cancelRun: async ({ params }) => runs.cancel(params.name),
    getRunMetrics: async ({ params, query }) => {
      await resources.get('runs', params.name);
      return { points: await store.readMetricPoints(params.name, query) };
    },
    getRunLog: async ({ params, query, reply, signal }) => {
      const lines = await runLog.open(params.name, { step: query.step, follow: query.follow === '1', signal });
      reply.type('text/plain; charset=utf-8').header('content-security-policy', "default-src 'none'; sandbox");
      return reply.send(Readable.from(lines));
    },
  } satisfies Partial<Handlers>;
}
