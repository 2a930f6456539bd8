import { type Expression, type ExpressionBuilder, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Comparison, Ordering, RunField } from '../../domain/mlflow/search.ts';
import type { MlflowRunSearch } from '../../ports/mlflow-store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import type { Database } from './schema.ts';

type Runs = ExpressionBuilder<Database, 'mlflow_runs'>;

/** The runs that a search finds, in its order. */
export function selectRuns(db: Kysely<Database>, dialect: DialectCapabilities, search: MlflowRunSearch) {
  let select = db
    .selectFrom('mlflow_runs')
    .selectAll('mlflow_runs')
    .where('mlflow_runs.experiment', 'in', [...search.experiments])
    .where('mlflow_runs.lifecycle', 'in', [...search.lifecycles]);
  for (const comparison of search.filter) select = select.where((eb) => conditionOf(eb, dialect, comparison));
  for (const ordering of search.order) select = ordered(select, ordering);
  return select.orderBy('mlflow_runs.start_ms', 'desc').orderBy('mlflow_runs.id').limit(search.limit).offset(search.offset);
}

/** Runs without the value come last, whatever the direction. */
function ordered<O>(select: SelectQueryBuilder<Database, 'mlflow_runs', O>, { field, descending }: Ordering) {
  const direction = descending ? 'desc' : 'asc';
  return select
    .orderBy((eb) => sql`case when ${columnOf(eb, field)} is null then 1 else 0 end`)
    .orderBy((eb) => columnOf(eb, field), direction);
}

/** A run that lacks the metric, parameter or tag fulfils no comparison with it. */
function conditionOf(eb: Runs, dialect: DialectCapabilities, { field, operator, value }: Comparison): Expression<SqlBool> {
  const column = columnOf(eb, field);
  if (operator === 'LIKE' || operator === 'ILIKE') return dialect.like(sql<string>`${column}`, String(value), operator === 'ILIKE');
  if (operator === 'IN' || operator === 'NOT IN') {
    const list = sql.join(Array.isArray(value) ? value : [value]);
    return operator === 'IN' ? sql<SqlBool>`${column} in (${list})` : sql<SqlBool>`${column} not in (${list})`;
  }
  return sql<SqlBool>`${column} ${sql.raw(operator)} ${value}`;
}

const COLUMNS = { id: 'id', name: 'name', status: 'status', user: 'user_name', startMs: 'start_ms', endMs: 'end_ms' } as const;

function columnOf(eb: Runs, field: RunField): Expression<unknown> {
  switch (field.kind) {
    case 'metric':
      return eb
        .selectFrom('mlflow_latest_metrics as m')
        .select('m.value')
        .whereRef('m.run', '=', 'mlflow_runs.id')
        .where('m.name', '=', field.key)
        .where('m.is_nan', '=', 0);
    case 'param':
      return eb.selectFrom('mlflow_params as p').select('p.value').whereRef('p.run', '=', 'mlflow_runs.id').where('p.name', '=', field.key);
    case 'tag':
      return eb.selectFrom('mlflow_tags as t').select('t.value').whereRef('t.owner', '=', 'mlflow_runs.id').where('t.name', '=', field.key);
    case 'attribute':
      if (field.key === 'artifactUri') return sql`'mlflow-artifacts:/' || mlflow_runs.experiment || '/' || mlflow_runs.id || '/artifacts'`;
      return eb.ref(`mlflow_runs.${COLUMNS[field.key]}`);
  }
}
