import * as z from 'zod';
import { timestampSchema } from '../common.ts';
import type { Route } from './route.ts';

/** What has been logged through MLflow's API at /mlflow, as our own faces list it. Deleted ones are left out. */
export const mlflowExperimentSchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type MlflowExperimentSummary = z.infer<typeof mlflowExperimentSchema>;

export const mlflowRunSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** Id of the experiment. */
  experiment: z.string(),
  user: z.string(),
  status: z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']),
  startedAt: timestampSchema,
  finishedAt: timestampSchema.nullable(),
  params: z.record(z.string(), z.string()),
  /** Newest values; those that are no finite number are left out. */
  metrics: z.record(z.string(), z.number()),
});
export type MlflowRunSummary = z.infer<typeof mlflowRunSchema>;

const pageQuery = { limit: z.coerce.number().int().min(1).max(1000).optional(), after: z.string().max(64).optional() };

export const mlflowExperimentsRoute = {
  method: 'GET',
  path: '/api/v1/mlflow/experiments',
  summary: 'Experiments logged through the MLflow API, newest first',
  tag: 'mlflow',
  scope: 'user',
  query: z.strictObject(pageQuery),
  response: z.object({ items: z.array(mlflowExperimentSchema), next: z.string().nullable() }),
} as const satisfies Route;

export const mlflowRunsRoute = {
  method: 'GET',
  path: '/api/v1/mlflow/experiments/{id}/runs',
  summary: 'Runs of an experiment logged through the MLflow API, newest first',
  tag: 'mlflow',
  scope: 'user',
  params: z.strictObject({ id: z.string().regex(/^\d{1,9}$/) }),
  query: z.strictObject({ ...pageQuery, filter: z.string().max(10_000).optional() }),
  response: z.object({ items: z.array(mlflowRunSchema), next: z.string().nullable() }),
} as const satisfies Route;
