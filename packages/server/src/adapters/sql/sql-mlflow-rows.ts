import { AppError } from '@selvedge/contract';
import type { Selectable } from 'kysely';
import type {
  MlflowExperiment,
  MlflowLifecycle,
  MlflowMetric,
  MlflowRunInfo,
  MlflowRunStatus,
  MlflowTag,
} from '../../ports/mlflow-store.ts';
import { MLFLOW_RUN_STATUSES } from '../../ports/mlflow-store.ts';
import type { Database } from './schema.ts';

/** Numbers beyond 32 bits arrive as text where the driver does not trust them. */
export function experimentOf(row: Selectable<Database['mlflow_experiments']>, tags: readonly MlflowTag[]): MlflowExperiment {
  return {
    id: row.id,
    name: row.name,
    lifecycle: lifecycleOf(row.lifecycle),
    createdMs: Number(row.created_ms),
    updatedMs: Number(row.updated_ms),
    tags,
  };
}

export function runInfoOf(row: Selectable<Database['mlflow_runs']>): MlflowRunInfo {
  return {
    id: row.id,
    experiment: row.experiment,
    name: row.name,
    user: row.user_name,
    status: statusOf(row.status),
    startMs: Number(row.start_ms),
    endMs: row.end_ms === null ? null : Number(row.end_ms),
    lifecycle: lifecycleOf(row.lifecycle),
  };
}

export function metricOf(row: Selectable<Database['mlflow_metrics']>): MlflowMetric {
  return { key: row.name, value: row.is_nan === 1 ? Number.NaN : row.value, atMs: Number(row.at_ms), step: Number(row.step) };
}

export function metricRow(run: string, { key, value, atMs, step }: MlflowMetric): Database['mlflow_metrics'] {
  const isNan = Number.isNaN(value);
  return { run, name: key, step, at_ms: atMs, value: isNan ? 0 : value, is_nan: isNan ? 1 : 0 };
}

/** The newest of each metric: highest step, then latest time, then highest value. */
export function latestOf(rows: readonly Database['mlflow_metrics'][]): Database['mlflow_metrics'][] {
  const latest = new Map<string, Database['mlflow_metrics']>();
  for (const row of rows) {
    const known = latest.get(row.name);
    const order = known === undefined ? 1 : row.step - known.step || row.at_ms - known.at_ms || row.value - known.value;
    if (order > 0) latest.set(row.name, row);
  }
  return [...latest.values()];
}

function lifecycleOf(text: string): MlflowLifecycle {
  return text === 'deleted' ? 'deleted' : 'active';
}

function statusOf(text: string): MlflowRunStatus {
  const status = MLFLOW_RUN_STATUSES.find((known) => known === text);
  if (status === undefined) throw new AppError('INTERNAL', { message: `A stored run has the unknown status "${text}".` });
  return status;
}
