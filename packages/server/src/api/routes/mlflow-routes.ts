import type { MlflowExperiment, MlflowRun } from '../../ports/mlflow-store.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

const timeOf = (ms: number): string => new Date(ms).toISOString();

const experimentSummary = ({ id, name, createdMs, updatedMs }: MlflowExperiment) => ({
  id: String(id),
  name,
  createdAt: timeOf(createdMs),
  updatedAt: timeOf(updatedMs),
});

const runSummary = ({ id, name, experiment, user, status, startMs, endMs, params, metrics }: MlflowRun) => ({
  ...{ id, name, experiment: String(experiment), user, status },
  startedAt: timeOf(startMs),
  finishedAt: endMs === null ? null : timeOf(endMs),
  params: Object.fromEntries(params.map(({ key, value }) => [key, value])),
  metrics: Object.fromEntries(metrics.filter(({ value }) => Number.isFinite(value)).map(({ key, value }) => [key, value])),
});

/** What was logged through MLflow's API, for our own faces. */
export function mlflowRoutes({ mlflow }: ApiServices) {
  return {
    listMlflowExperiments: async ({ query }) => {
      const { items, next } = await mlflow.listExperiments(['active'], { limit: query.limit, token: query.after });
      return { items: items.map(experimentSummary), next: next ?? null };
    },
    listMlflowRuns: async ({ params, query }) => {
      const { id } = await mlflow.experiment(params.id);
      const search = { experiments: [String(id)], filter: query.filter ?? '', orderBy: [], lifecycles: ['active'] as const };
      const { items, next } = await mlflow.searchRuns(search, { limit: query.limit, token: query.after });
      return { items: items.map(runSummary), next: next ?? null };
    },
  } satisfies Partial<Handlers>;
}
