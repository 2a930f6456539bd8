import { AppError } from '@selvedge/contract';
import type { Transaction } from 'kysely';
import type { MlflowMetric, MlflowTag } from '../../ports/mlflow-store.ts';
import type { Database } from './schema.ts';
import { latestOf, metricRow } from './sql-mlflow-rows.ts';

const ROWS_PER_INSERT = 500;

export async function saveTags(transaction: Transaction<Database>, owner: string, tags: readonly MlflowTag[]): Promise<void> {
  const rows = [...new Map(tags.map(({ key, value }) => [key, { owner, name: key, value }])).values()];
  if (rows.length === 0) return;
  await transaction
    .insertInto('mlflow_tags')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['owner', 'name']).doUpdateSet({ value: (eb) => eb.ref('excluded.value') }))
    .execute();
}

/** Parameters say what a run was made with: they are written once. @throws AppError INPUT_INVALID (user) for another value. */
export async function saveParams(transaction: Transaction<Database>, run: string, params: readonly MlflowTag[]): Promise<void> {
  for (const { key, value } of params) {
    await transaction
      .insertInto('mlflow_params')
      .values({ run, name: key, value })
      .onConflict((conflict) => conflict.columns(['run', 'name']).doNothing())
      .execute();
    const kept = await transaction
      .selectFrom('mlflow_params')
      .select('value')
      .where('run', '=', run)
      .where('name', '=', key)
      .executeTakeFirstOrThrow();
    if (kept.value !== value) {
      throw new AppError('INPUT_INVALID', {
        message: `Changing param values is not allowed. Param with key='${key}' was already logged with value='${kept.value.slice(0, 100)}' for run ID='${run}'. Attempted logging new value '${value.slice(0, 100)}'.`,
      });
    }
  }
}

export async function saveMetrics(transaction: Transaction<Database>, run: string, metrics: readonly MlflowMetric[]): Promise<void> {
  const rows = metrics.map((metric) => metricRow(run, metric));
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    await transaction
      .insertInto('mlflow_metrics')
      .values(rows.slice(start, start + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.columns(['run', 'name', 'step', 'at_ms', 'value', 'is_nan']).doNothing())
      .execute();
  }
  for (const row of latestOf(rows)) {
    const known = await transaction
      .selectFrom('mlflow_latest_metrics')
      .selectAll()
      .where('run', '=', run)
      .where('name', '=', row.name)
      .executeTakeFirst();
    const stored = known === undefined ? [] : [{ ...known, step: Number(known.step), at_ms: Number(known.at_ms) }];
    const [newest = row] = latestOf([...stored, row]);
    const { step, at_ms, value, is_nan } = newest;
    await transaction
      .insertInto('mlflow_latest_metrics')
      .values(newest)
      .onConflict((conflict) => conflict.columns(['run', 'name']).doUpdateSet({ step, at_ms, value, is_nan }))
      .execute();
  }
}
