import { execFile, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { TestServer } from '../../testing/test-server.ts';

const SESSION = fileURLToPath(new URL('fixtures/python-client.json', import.meta.url));
const CLIENT = fileURLToPath(new URL('../../testing/mlflow_client.py', import.meta.url));
const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;
const TRACKING = '/mlflow/api/2.0/mlflow';
const PROXY = '/mlflow/api/2.0/mlflow-artifacts/artifacts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
}, 60_000);
afterAll(() => server.stop());

const bodySchema = z.record(z.string(), z.unknown());
async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await server.fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: response.status, body: bodySchema.parse(await response.json()) };
}
const post = (path: string, body: unknown) => call('POST', `${TRACKING}/${path}`, body);

const runSchema = z.object({ run: z.object({ info: z.object({ run_id: z.string(), artifact_uri: z.string(), run_name: z.string() }) }) });
const searchSchema = z.object({
  runs: z.array(z.object({ info: z.object({ run_name: z.string() }) })),
  next_page_token: z.string().optional(),
});
async function newExperiment(name: string): Promise<string> {
  return z.object({ experiment_id: z.string() }).parse((await post('experiments/create', { name })).body).experiment_id;
}
async function newRun(experiment: string, name: string, startMs = 1): Promise<{ id: string; location: string }> {
  const { body } = await post('runs/create', { experiment_id: experiment, run_name: name, start_time: startMs });
  const { run_id, artifact_uri } = runSchema.parse(body).run.info;
  return { id: run_id, location: artifact_uri.replace('mlflow-artifacts:/', '') };
}
const found = async (experiment: string, query: Record<string, unknown>) => {
  const { runs, next_page_token } = searchSchema.parse((await post('runs/search', { experiment_ids: [experiment], ...query })).body);
  return { names: runs.map(({ info }) => info.run_name), token: next_page_token };
};

describe.skipIf(!HAS_PYTHON)("a session in the wire format of MLflow's Python client", () => {
  it('is answered as its server would, and stays after a restart', { timeout: 120_000 }, async () => {
    const { stdout } = await promisify(execFile)('python3', [CLIENT, `${server.url}/mlflow`, server.token, SESSION]);
    const { exchanges, run_id } = z.object({ exchanges: z.number(), run_id: z.string() }).parse(JSON.parse(stdout));
    expect(exchanges).toBe(z.array(z.unknown()).parse(JSON.parse(await readFile(SESSION, 'utf8'))).length);
    await server.stopServer();
    await server.startAgain();
    const { body } = await call('GET', `${TRACKING}/runs/get?run_id=${run_id}`);
    expect(body).toMatchObject({ run: { info: { run_name: 'first', status: 'FINISHED', lifecycle_stage: 'deleted' } } });
    expect((await post('runs/restore', { run_id })).status).toBe(200);
    const { items } = await server.client.listMlflowExperiments({ query: {} });
    const digits = items.find(({ name }) => name === 'digits');
    const listed = await server.client.listMlflowRuns({ params: { id: digits?.id ?? '' }, query: {} });
    expect(listed.items).toMatchObject([
      { name: 'first', user: 'ada', status: 'FINISHED', params: { lr: '0.001', layers: '3' }, metrics: { accuracy: 0.95, loss: 0.25 } },
    ]);
    expect(Object.keys(listed.items[0]?.metrics ?? {})).toEqual(['accuracy', 'loss']);
  });
});

describe('the search for runs', () => {
  it('filters, sorts and pages', async () => {
    const experiment = await newExperiment('search');
    for (const [index, accuracy] of [0.5, 0.9, 0.7].entries()) {
      const { id } = await newRun(experiment, `run-${index}`, index + 1);
      await post('runs/log-batch', {
        run_id: id,
        metrics: [{ key: 'val acc', value: accuracy, timestamp: 1, step: 1 }],
        params: [{ key: 'Net', value: index === 1 ? 'CNN' : 'cnn' }],
        tags: [{ key: 'odd', value: String(index % 2) }],
      });
    }
    const other = await newRun(experiment, 'bare', 10);
    expect((await found(experiment, {})).names).toEqual(['bare', 'run-2', 'run-1', 'run-0']);
    expect((await found(experiment, { order_by: ['metrics.`val acc` DESC'] })).names).toEqual(['run-1', 'run-2', 'run-0', 'bare']);
    expect((await found(experiment, { order_by: ['metrics.`val acc`'] })).names).toEqual(['run-0', 'run-2', 'run-1', 'bare']);
    expect((await found(experiment, { filter: 'metrics.`val acc` >= 0.7 and tags.odd = "0"' })).names).toEqual(['run-2']);
    expect((await found(experiment, { filter: "params.Net LIKE 'c_n'" })).names).toEqual(['run-2', 'run-0']);
    expect((await found(experiment, { filter: "params.Net ILIKE 'C%'" })).names).toEqual(['run-2', 'run-1', 'run-0']);
    expect((await found(experiment, { filter: "params.Net != 'cnn'" })).names).toEqual(['run-1']);
    expect((await found(experiment, { filter: `run_id IN ('${other.id}')` })).names).toEqual(['bare']);
    expect((await found(experiment, { filter: 'attributes.start_time < 3' })).names).toEqual(['run-1', 'run-0']);
    const first = await found(experiment, { max_results: 3 });
    expect([first.names.length, (await found(experiment, { max_results: 3, page_token: first.token })).names]).toEqual([3, ['run-0']]);
    expect((await found('987654', {})).names).toEqual([]);
  });
});

describe('what is logged', () => {
  it('is all of a batch or nothing, and the same point once', async () => {
    const { id } = await newRun(await newExperiment('batch'), 'one');
    const metrics = [{ key: 'm', value: 1, timestamp: 5, step: 2 }];
    await post('runs/log-batch', { run_id: id, metrics, params: [{ key: 'p', value: '1' }] });
    expect((await post('runs/log-batch', { run_id: id, metrics })).status).toBe(200);
    const refused = await post('runs/log-batch', {
      run_id: id,
      metrics: [{ key: 'm', value: 9, timestamp: 9, step: 9 }],
      params: [{ key: 'p', value: '2' }],
    });
    expect(refused).toMatchObject({ status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE' } });
    const older = await post('runs/log-metric', { run_id: id, key: 'm', value: 7, timestamp: 6, step: 1 });
    expect(older.status).toBe(200);
    expect((await call('GET', `${TRACKING}/metrics/get-history?run_id=${id}&metric_key=m`)).body).toEqual({
      metrics: [
        { key: 'm', value: 7, timestamp: 6, step: 1 },
        { key: 'm', value: 1, timestamp: 5, step: 2 },
      ],
    });
    expect((await call('GET', `${TRACKING}/runs/get?run_id=${id}`)).body).toMatchObject({
      run: { data: { metrics: [{ value: 1, step: 2 }] } },
    });
  });

  it.each([
    ['runs/log-metric', { key: '../x', value: 1, timestamp: 1 }],
    ['runs/log-metric', { key: 'x', value: 'high', timestamp: 1 }],
    ['runs/log-parameter', { key: 'x', value: 'v'.repeat(6001) }],
    ['runs/set-tag', { key: 'k'.repeat(251), value: '' }],
    ['runs/log-batch', { metrics: Array.from({ length: 1001 }, (_, step) => ({ key: 'm', value: 1, timestamp: 1, step })) }],
    ['runs/update', { status: 'DONE' }],
    ['experiments/create', { name: '' }],
    ['runs/search', { experiment_ids: ['0'], page_token: '!' }],
  ])('is refused by %s when it is not valid', async (path, message) => {
    const { id } = await newRun('0', 'refused');
    expect(await post(path, { run_id: id, ...message })).toMatchObject({ status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE' } });
  });

  it('needs the token, and a known endpoint', async () => {
    for (const path of [`${TRACKING}/experiments/search`, `${PROXY}?path=x`]) {
      const response = await server.fetch(path, { headers: { authorization: 'Bearer wrong' } });
      expect([response.status, await response.json()]).toMatchObject([401, { error_code: 'UNAUTHENTICATED' }]);
    }
    expect(await call('GET', `${TRACKING}/registered-models/search`)).toMatchObject({
      status: 404,
      body: { error_code: 'ENDPOINT_NOT_FOUND' },
    });
    const text = await server.fetch(`${TRACKING}/runs/search`, {
      method: 'POST',
      body: '{',
      headers: { 'content-type': 'application/json' },
    });
    expect([text.status, await text.json()]).toMatchObject([400, { error_code: 'INVALID_PARAMETER_VALUE' }]);
  });
});

describe('files of a run', () => {
  const put = (location: string, body: string) => server.fetch(`${PROXY}/${location}`, { method: 'PUT', body });

  it('are replaced, read in part, and removed with their folder', async () => {
    const { location } = await newRun('0', 'files');
    expect((await put(`${location}/a/b.txt`, 'first')).status).toBe(200);
    expect((await put(`${location}/a/b.txt`, 'second one')).status).toBe(200);
    const part = await server.fetch(`${PROXY}/${location}/a/b.txt`, { headers: { range: 'bytes=0-5' } });
    expect([part.status, await part.text(), part.headers.get('cache-control')]).toEqual([206, 'second', 'no-cache']);
    expect((await call('GET', `${PROXY}?path=${location}`)).body).toEqual({ files: [{ path: 'a', is_dir: true }] });
    expect((await call('DELETE', `${PROXY}/${location}/a`)).status).toBe(200);
    expect((await call('GET', `${PROXY}?path=${location}`)).body).toEqual({ files: [] });
    expect((await call('GET', `${PROXY}/${location}/a/b.txt`)).body).toMatchObject({ error_code: 'RESOURCE_DOES_NOT_EXIST' });
  });

  it('are refused at addresses that belong to no run, or lead out of it', async () => {
    const { location } = await newRun('0', 'paths');
    await put(`${location}/file`, 'x');
    expect((await put(`${location}/file/below`, 'x')).status).toBe(400);
    expect((await put(`${location}/a%5Cb`, 'x')).status).toBe(400);
    expect((await put(`${location}/..%2F..%2Fx`, 'x')).status).toBe(400);
    for (const address of [`0/${'0'.repeat(32)}/artifacts/x`, `1${location}/x`, 'x']) expect((await put(address, 'x')).status).toBe(404);
  });
});
