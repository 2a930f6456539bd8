import { AppError } from '@selvedge/contract';
import type { Kysely } from 'kysely';
import type {
  MlflowArtifact,
  MlflowExperiment,
  MlflowMetric,
  MlflowRun,
  MlflowRunInfo,
  MlflowRunSearch,
  MlflowStore,
  MlflowTag,
} from '../../ports/mlflow-store.ts';
import type { DialectCapabilities } from './dialect-capabilities.ts';
import type { Database } from './schema.ts';
import { experimentOf, metricOf, runInfoOf } from './sql-mlflow-rows.ts';
import { selectRuns } from './sql-mlflow-search.ts';
import { saveMetrics, saveParams, saveTags } from './sql-mlflow-writes.ts';

const ownerOf = (experiment: number): string => `experiment:${experiment}`;
const tagOf = ({ name, value }: { name: string; value: string }): MlflowTag => ({ key: name, value });

/** What MLflow's clients have logged. */
export class SqlMlflow implements MlflowStore {
  readonly #db: Kysely<Database>;
  readonly #dialect: DialectCapabilities;

  constructor(db: Kysely<Database>, dialect: DialectCapabilities) {
    this.#db = db;
    this.#dialect = dialect;
  }

  async createExperiment(experiment: Omit<MlflowExperiment, 'id'>): Promise<MlflowExperiment | undefined> {
    return await this.#db.transaction().execute(async (transaction) => {
      const { highest } = await transaction
        .selectFrom('mlflow_experiments')
        .select((eb) => eb.fn.max('id').as('highest'))
        .executeTakeFirstOrThrow();
      const row = await transaction
        .insertInto('mlflow_experiments')
        .values({
          id: Number(highest) + 1,
          name: experiment.name,
          lifecycle: experiment.lifecycle,
          created_ms: experiment.createdMs,
          updated_ms: experiment.updatedMs,
        })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return undefined;
      await saveTags(transaction, ownerOf(row.id), experiment.tags);
      return experimentOf(row, experiment.tags);
    });
  }

  async getExperiment(by: { id: number } | { name: string }): Promise<MlflowExperiment | undefined> {
    const select = this.#db.selectFrom('mlflow_experiments').selectAll();
    const row = await ('id' in by ? select.where('id', '=', by.id) : select.where('name', '=', by.name)).executeTakeFirst();
    if (row === undefined) return undefined;
    const tags = await this.#tags([ownerOf(row.id)]);
    return experimentOf(row, tags.get(ownerOf(row.id)) ?? []);
  }

  async listExperiments({ lifecycles, offset, limit }: Parameters<MlflowStore['listExperiments']>[0]): Promise<MlflowExperiment[]> {
    const rows = await this.#db
      .selectFrom('mlflow_experiments')
      .selectAll()
      .where('lifecycle', 'in', [...lifecycles])
      .orderBy('created_ms', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .offset(offset)
      .execute();
    const tags = await this.#tags(rows.map(({ id }) => ownerOf(id)));
    return rows.map((row) => experimentOf(row, tags.get(ownerOf(row.id)) ?? []));
  }

  async updateExperiment(
    id: number,
    { name, lifecycle, tag, updatedMs }: Parameters<MlflowStore['updateExperiment']>[1],
  ): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      if (name !== undefined) {
        const other = await transaction.selectFrom('mlflow_experiments').select('id').where('name', '=', name).executeTakeFirst();
        if (other !== undefined && other.id !== id)
          throw new AppError('CONFLICT', { message: `There is an experiment "${name}" already.` });
      }
      const updated = await transaction
        .updateTable('mlflow_experiments')
        .set({ updated_ms: updatedMs, ...(name === undefined ? {} : { name }), ...(lifecycle === undefined ? {} : { lifecycle }) })
        .where('id', '=', id)
        .executeTakeFirst();
      if (updated.numUpdatedRows === 0n) return false;
      if (tag !== undefined) await saveTags(transaction, ownerOf(id), [tag]);
      return true;
    });
  }

  async createRun(run: MlflowRunInfo, tags: readonly MlflowTag[]): Promise<void> {
    const { id, experiment, name, user, status, startMs, endMs, lifecycle } = run;
    await this.#db.transaction().execute(async (transaction) => {
      await transaction
        .insertInto('mlflow_runs')
        .values({ id, experiment, name, user_name: user, status, start_ms: startMs, end_ms: endMs, lifecycle })
        .execute();
      await saveTags(transaction, id, tags);
    });
  }

  async getRun(id: string): Promise<MlflowRun | undefined> {
    const row = await this.#db.selectFrom('mlflow_runs').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : (await this.#withData([runInfoOf(row)]))[0];
  }

  async updateRun(id: string, change: Parameters<MlflowStore['updateRun']>[1]): Promise<boolean> {
    const { name, status, endMs, lifecycle } = change;
    const updated = await this.#db
      .updateTable('mlflow_runs')
      .set({
        id,
        ...(name === undefined ? {} : { name }),
        ...(status === undefined ? {} : { status }),
        ...(endMs === undefined ? {} : { end_ms: endMs }),
        ...(lifecycle === undefined ? {} : { lifecycle }),
      })
      .where('id', '=', id)
      .executeTakeFirst();
    return updated.numUpdatedRows > 0n;
  }

  async searchRuns(search: MlflowRunSearch): Promise<MlflowRun[]> {
    if (search.experiments.length === 0) return [];
    const rows = await selectRuns(this.#db, this.#dialect, search).execute();
    return await this.#withData(rows.map(runInfoOf));
  }

  async log(run: string, { metrics, params, tags }: Parameters<MlflowStore['log']>[1]): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await saveParams(transaction, run, params);
      await saveTags(transaction, run, tags);
      await saveMetrics(transaction, run, metrics);
    });
  }

  async deleteTag(run: string, key: string): Promise<boolean> {
    const deleted = await this.#db.deleteFrom('mlflow_tags').where('owner', '=', run).where('name', '=', key).executeTakeFirst();
    return deleted.numDeletedRows > 0n;
  }

  async readMetric(run: string, key: string, { offset, limit }: { offset: number; limit: number }): Promise<MlflowMetric[]> {
    const rows = await this.#db
      .selectFrom('mlflow_metrics')
      .selectAll()
      .where('run', '=', run)
      .where('name', '=', key)
      .orderBy('step')
      .orderBy('at_ms')
      .orderBy('value')
      .limit(limit)
      .offset(offset)
      .execute();
    return rows.map(metricOf);
  }

  async saveArtifact(run: string, { path, sha256, sizeBytes }: MlflowArtifact): Promise<void> {
    const content = { sha256, size_bytes: sizeBytes };
    await this.#db
      .insertInto('mlflow_artifacts')
      .values({ run, path, ...content })
      .onConflict((conflict) => conflict.columns(['run', 'path']).doUpdateSet(content))
      .execute();
  }

  async getArtifact(run: string, path: string): Promise<MlflowArtifact | undefined> {
    const row = await this.#db
      .selectFrom('mlflow_artifacts')
      .selectAll()
      .where('run', '=', run)
      .where('path', '=', path)
      .executeTakeFirst();
    return row === undefined ? undefined : { path, sha256: row.sha256, sizeBytes: Number(row.size_bytes) };
  }

  async listArtifacts(run: string, folder: string): Promise<MlflowArtifact[]> {
    let select = this.#db.selectFrom('mlflow_artifacts').selectAll().where('run', '=', run);
    // "0" is the character after "/": this is the range of everything below the folder.
    if (folder !== '') select = select.where('path', '>', `${folder}/`).where('path', '<', `${folder}0`);
    const rows = await select.orderBy('path').execute();
    return rows.map(({ path, sha256, size_bytes }) => ({ path, sha256, sizeBytes: Number(size_bytes) }));
  }

  async contentsAmong(digests: readonly string[]): Promise<Set<string>> {
    if (digests.length === 0) return new Set();
    const rows = await this.#db
      .selectFrom('mlflow_artifacts')
      .select('sha256')
      .distinct()
      .where('sha256', 'in', [...digests])
      .execute();
    return new Set(rows.map(({ sha256 }) => sha256));
  }

  async deleteArtifacts(run: string, path: string): Promise<number> {
    const deleted = await this.#db
      .deleteFrom('mlflow_artifacts')
      .where('run', '=', run)
      .where((eb) => eb.or([eb('path', '=', path), eb.and([eb('path', '>', `${path}/`), eb('path', '<', `${path}0`)])]))
      .executeTakeFirst();
    return Number(deleted.numDeletedRows);
  }

  async #tags(owners: readonly string[]): Promise<Map<string, MlflowTag[]>> {
    if (owners.length === 0) return new Map();
    const rows = await this.#db
      .selectFrom('mlflow_tags')
      .selectAll()
      .where('owner', 'in', [...owners])
      .orderBy('owner')
      .orderBy('name')
      .execute();
    return grouped(rows, ({ owner }) => owner, tagOf);
  }

  async #withData(runs: readonly MlflowRunInfo[]): Promise<MlflowRun[]> {
    if (runs.length === 0) return [];
    const ids = runs.map(({ id }) => id);
    const tags = await this.#tags(ids);
    const params = await this.#db.selectFrom('mlflow_params').selectAll().where('run', 'in', ids).orderBy('run').orderBy('name').execute();
    const metrics = await this.#db
      .selectFrom('mlflow_latest_metrics')
      .selectAll()
      .where('run', 'in', ids)
      .orderBy('run')
      .orderBy('name')
      .execute();
    const paramsOf = grouped(params, ({ run }) => run, tagOf);
    const metricsOf = grouped(metrics, ({ run }) => run, metricOf);
    return runs.map((run) => ({
      ...run,
      tags: tags.get(run.id) ?? [],
      params: paramsOf.get(run.id) ?? [],
      metrics: metricsOf.get(run.id) ?? [],
    }));
  }
}

function grouped<R, T>(rows: readonly R[], keyOf: (row: R) => string, read: (row: R) => T): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [read(row)]);
    else group.push(read(row));
  }
  return groups;
}
