import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseFilter, parseOrderBy } from '../domain/mlflow/search.ts';
import type { MlflowMetric, MlflowStore } from './mlflow-store.ts';
import type { StoreUnderTest } from './store.contract.ts';
import type { Store } from './store.ts';

const run = (id: string, experiment: number, startMs: number) =>
  ({ id, experiment, name: id, user: 'ada', status: 'RUNNING', startMs, endMs: null, lifecycle: 'active' }) as const;
const point = (key: string, step: number, value: number, atMs = 1_730_000_000_000): MlflowMetric => ({ key, step, value, atMs });
const NOTHING = { metrics: [], params: [], tags: [] };

/** What the MLflow part of every Store must do; adapters call this from their test file. */
export function describeMlflowStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a MlflowStore`, () => {
    let under: StoreUnderTest;
    let store: Store;
    let mlflow: MlflowStore;
    beforeEach(async () => {
      under = await make();
      store = await under.open(() => undefined);
      mlflow = store.mlflow;
    });
    afterEach(async () => {
      await store.close();
      await under.dispose();
    });
    const create = (called: string) =>
      mlflow.createExperiment({ name: called, lifecycle: 'active', createdMs: 5e12, updatedMs: 5e12, tags: [{ key: 'a', value: '1' }] });

    it('has the default experiment, and gives each other name once', async () => {
      expect(await mlflow.getExperiment({ id: 0 })).toMatchObject({ name: 'Default' });
      const made = await create('x');
      expect(await create('x')).toBeUndefined();
      expect(await mlflow.getExperiment({ name: 'x' })).toEqual(made);
      const other = await create('y');
      await expect(mlflow.updateExperiment(other?.id ?? -1, { name: 'x', updatedMs: 6e12 })).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await mlflow.updateExperiment(made?.id ?? -1, { lifecycle: 'deleted', tag: { key: 'b', value: '' }, updatedMs: 6e12 })).toBe(
        true,
      );
      expect(await mlflow.updateExperiment(99, { updatedMs: 1 })).toBe(false);
      expect((await mlflow.listExperiments({ lifecycles: ['active'], offset: 0, limit: 10 })).map((one) => one.name)).toEqual([
        'y',
        'Default',
      ]);
      const [deleted] = await mlflow.listExperiments({ lifecycles: ['deleted'], offset: 0, limit: 10 });
      expect(deleted).toMatchObject({ name: 'x', createdMs: 5e12, updatedMs: 6e12, tags: [{ key: 'a' }, { key: 'b', value: '' }] });
    });

    it('keeps every point, also those that are no finite number, and knows the newest', async () => {
      await mlflow.createRun(run('r', 0, 1), []);
      const values = [point('m', 2, Number.NaN), point('m', 1, 5), point('inf', 1, Number.NEGATIVE_INFINITY), point('m', 2, 4, 1)];
      await mlflow.log('r', { ...NOTHING, metrics: values });
      await mlflow.log('r', { ...NOTHING, metrics: values });
      expect(await mlflow.readMetric('r', 'm', { offset: 0, limit: 9 })).toEqual([values[1], values[3], values[0]]);
      expect(await mlflow.readMetric('r', 'm', { offset: 1, limit: 1 })).toEqual([values[3]]);
      expect((await mlflow.getRun('r'))?.metrics).toEqual([values[2], values[0]]);
    });

    it('writes parameters once and tags anew, all of a call or nothing', async () => {
      await mlflow.createRun(run('r', 0, 1), [{ key: 't', value: 'old' }]);
      await mlflow.log('r', { ...NOTHING, params: [{ key: 'p', value: '1' }], tags: [{ key: 't', value: 'new' }] });
      const other = { params: [{ key: 'p', value: '2' }], tags: [{ key: 't', value: 'lost' }], metrics: [point('m', 1, 1)] };
      await expect(mlflow.log('r', other)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
      expect(await mlflow.getRun('r')).toMatchObject({ params: [{ value: '1' }], tags: [{ key: 't', value: 'new' }], metrics: [] });
      expect([await mlflow.deleteTag('r', 't'), await mlflow.deleteTag('r', 't')]).toEqual([true, false]);
    });

    it('searches by metrics, parameters, tags and attributes', async () => {
      for (const [index, id] of ['a', 'b', 'c'].entries()) await mlflow.createRun(run(id, 0, 1_730_000_000_000 + index), []);
      await mlflow.log('a', { metrics: [point('x', 1, 1)], params: [{ key: 'net', value: 'CNN' }], tags: [] });
      await mlflow.log('b', { metrics: [point('x', 1, 2)], params: [{ key: 'net', value: 'c*n' }], tags: [{ key: 'k', value: 'v' }] });
      await mlflow.updateRun('c', { status: 'FINISHED', endMs: 1_730_000_000_009 });
      const search = async (filter: string, order: string[] = []) => {
        const query = { experiments: [0], filter: parseFilter(filter), order: parseOrderBy(order), lifecycles: ['active'] as const };
        return (await mlflow.searchRuns({ ...query, offset: 0, limit: 10 })).map(({ id }) => id).join('');
      };
      expect(await search('')).toBe('cba');
      expect(await search('', ['metrics.x'])).toBe('abc');
      expect(await search('', ['metrics.x DESC'])).toBe('bac');
      expect(await search('metrics.x > 1.5')).toBe('b');
      expect(await search("params.net LIKE 'c%'")).toBe('b');
      expect(await search("params.net LIKE '_*n'")).toBe('b');
      expect(await search("params.net ILIKE 'cn_'")).toBe('a');
      expect(await search("tags.k = 'v' and status != 'FINISHED'")).toBe('b');
      expect(await search("status = 'FINISHED' and end_time >= 1730000000009")).toBe('c');
      expect(await search("artifact_uri LIKE '%/a/artifacts'")).toBe('a');
      expect(await search("run_id NOT IN ('a', 'b')")).toBe('c');
    });

    it('keeps files by path, and takes a folder for what is below it only', async () => {
      await mlflow.createRun(run('r', 0, 1), []);
      const file = (path: string, sizeBytes = 3e9) => ({ path, sha256: 'a'.repeat(64), sizeBytes });
      for (const path of ['d/x', 'd/y', 'd.txt', 'd0']) await mlflow.saveArtifact('r', file(path));
      await mlflow.saveArtifact('r', file('d/x', 4e9));
      expect(await mlflow.getArtifact('r', 'd/x')).toEqual(file('d/x', 4e9));
      expect((await mlflow.listArtifacts('r', 'd')).map(({ path }) => path)).toEqual(['d/x', 'd/y']);
      const { sha256 } = file('d/x');
      expect(await mlflow.contentsAmong([sha256, 'f'.repeat(64)])).toEqual(new Set([sha256]));
      expect(await mlflow.contentsAmong([])).toEqual(new Set());
      expect(await mlflow.deleteArtifacts('r', 'd')).toBe(2);
      expect((await mlflow.listArtifacts('r', '')).map(({ path }) => path)).toEqual(['d.txt', 'd0']);
    });
  });
}
