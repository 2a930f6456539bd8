import * as z from 'zod';
import {
  MLFLOW_RUN_STATUSES,
  type MlflowExperiment,
  type MlflowLifecycle,
  type MlflowMetric,
  type MlflowRun,
} from '../../ports/mlflow-store.ts';
import { artifactUri } from '../../services/mlflow-service.ts';

/** Messages of MLflow's tracking API in the JSON form of protocol buffers; fields that are not known are passed over, as there. */

/** 64-bit integers are numbers in the client's JSON and text in that of other protobuf libraries. */
const int64 = z.union([
  z.int(),
  z
    .string()
    .regex(/^-?\d{1,16}$/)
    .transform(Number),
]);
const double = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);
const id = z.string().min(1).max(64);
const key = z
  .string()
  .min(1)
  .max(250)
  .regex(/^[\w.\- /:]+$/, 'may only contain letters, digits, _ - . / : and spaces')
  .refine(
    (text) => !text.startsWith('/') && !text.split('/').some((part) => part === '..' || part === '.' || part === ''),
    'must not look like a path to elsewhere',
  );
const param = z.object({ key, value: z.string().max(6000).default('') });
const tag = z.object({ key, value: z.string().max(8000).default('') });
const metric = z.object({ key, value: double, timestamp: int64, step: int64.default(0) });
const run = z.object({ run_id: id.optional(), run_uuid: id.optional() });
const page = z.object({ max_results: z.coerce.number().int().min(1).max(50_000).optional(), page_token: z.string().max(64).optional() });
const viewType = z.enum(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL']).default('ACTIVE_ONLY');
const experiment = z.object({ experiment_id: z.coerce.string().max(32) });
const name = z.string().min(1).max(500);

export const messages = {
  createExperiment: z.object({ name, artifact_location: z.string().optional(), tags: z.array(tag).max(100).default([]) }),
  experiment,
  experimentByName: z.object({ experiment_name: z.string().max(500) }),
  updateExperiment: experiment.extend({ new_name: name }),
  experimentTag: experiment.extend(tag.shape),
  searchExperiments: page.extend({ view_type: viewType, filter: z.string().max(10_000).default('') }),
  createRun: z.object({
    experiment_id: z.coerce.string().max(32).default('0'),
    user_id: z.string().max(256).default(''),
    run_name: z.string().max(500).default(''),
    start_time: int64.optional(),
    tags: z.array(tag).max(100).default([]),
  }),
  run,
  updateRun: run.extend({
    status: z.enum(MLFLOW_RUN_STATUSES).optional(),
    end_time: int64.optional(),
    run_name: z.string().max(500).optional(),
  }),
  logMetric: run.extend(metric.shape),
  logParam: run.extend(param.shape),
  setTag: run.extend(tag.shape),
  deleteTag: run.extend({ key: z.string().max(250) }),
  logBatch: run
    .extend({
      metrics: z.array(metric).max(1000).default([]),
      params: z.array(param).max(100).default([]),
      tags: z.array(tag).max(100).default([]),
    })
    .refine(({ metrics, params, tags }) => metrics.length + params.length + tags.length <= 1000, 'holds more than 1000 entries'),
  searchRuns: page.extend({
    experiment_ids: z.array(z.coerce.string()).max(1000).default([]),
    filter: z.string().max(10_000).default(''),
    run_view_type: viewType,
    order_by: z.array(z.string().max(1000)).max(10).default([]),
  }),
  metricHistory: run.extend(page.shape).extend({ metric_key: z.string().max(250) }),
  listArtifacts: run.extend({ path: z.string().max(1024).default('') }),
};

export const LIFECYCLES: Readonly<Record<z.infer<typeof viewType>, readonly MlflowLifecycle[]>> = {
  ACTIVE_ONLY: ['active'],
  DELETED_ONLY: ['deleted'],
  ALL: ['active', 'deleted'],
};

export function experimentMessage({ id: number, name: called, lifecycle, createdMs, updatedMs, tags }: MlflowExperiment) {
  return {
    experiment_id: String(number),
    name: called,
    artifact_location: `mlflow-artifacts:/${number}`,
    lifecycle_stage: lifecycle,
    creation_time: createdMs,
    last_update_time: updatedMs,
    tags,
  };
}

export function metricMessage({ key: called, value, atMs, step }: MlflowMetric) {
  return { key: called, value: Number.isFinite(value) ? value : String(value), timestamp: atMs, step };
}

export function runInfoMessage(one: MlflowRun) {
  return {
    run_id: one.id,
    run_uuid: one.id,
    run_name: one.name,
    experiment_id: String(one.experiment),
    user_id: one.user,
    status: one.status,
    start_time: one.startMs,
    ...(one.endMs === null ? {} : { end_time: one.endMs }),
    artifact_uri: artifactUri(one),
    lifecycle_stage: one.lifecycle,
  };
}

export function runMessage(one: MlflowRun) {
  const { metrics, params, tags } = one;
  return { info: runInfoMessage(one), data: { metrics: metrics.map(metricMessage), params, tags }, inputs: {} };
}
