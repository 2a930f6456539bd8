import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Run } from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { openStore } from '../adapters/sql/open-store.ts';
import { SMALL_PIPELINE, TestServer } from '../testing/test-server.ts';
import { draftOf } from './draft-of.ts';

const isFinished = ({ status }: Run) => ['Succeeded', 'Failed', 'Cancelled'].includes(status.phase);
const reference = (text: string) => `\${{ ${text} }}`;

const STEPS = [
  { id: 'view', tool: 'process', inputs: { dataset: 'dataset' }, parameters: { rate: reference('hyperparams.lr') } },
  { id: 'other', tool: 'export', inputs: { dataset: 'dataset' } },
  {
    id: 'both',
    tool: 'split',
    inputs: { a: 'view', b: { step: 'other', file: 'out.txt' } },
    parameters: { from: `artifact ${reference('steps.view.outputs.artifact')}`, version: reference('dataset.version') },
  },
];

describe('pipelines with steps', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function begin(spec: Record<string, unknown>): Promise<void> {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, ...spec });
  }
  const start = async (body: { cache?: boolean } = {}) => (await server.client.startRun({ params: { name: 'pipe' }, body })).metadata.name;
  const end = (name: string) => server.waitForRun(name, isFinished, 'finished');

  it('give the tools their parameters with the references replaced, record them, and take the same from the cache', async () => {
    await begin({ steps: STEPS });
    const first = await end(await start());
    expect(first.status).toMatchObject({ phase: 'Succeeded', environment: { node: process.versions.node } });
    expect(first.status.steps).toMatchObject([
      { name: 'dataset', tool: 'import', artifact: 'things.v1' },
      { name: 'view', parameters: { rate: 0.1 }, toolVersion: '1.0.0', codeDigest: 'digest-of-process' },
      { name: 'other', state: 'completed' },
      { name: 'both', parameters: { from: 'artifact pipe-1.view', version: 1 } },
    ]);
    const log = await (await server.fetch('/api/v1/runs/pipe-1/log?step=both')).text();
    expect(log).toContain('a: 15 bytes\nb: 14 bytes\n');

    const second = await end(await start());
    expect(second.status.steps.slice(1).map(({ cachedFrom, artifact }) => [cachedFrom, artifact])).toEqual([
      ['pipe-1.view', 'pipe-1.view'],
      ['pipe-1.other', 'pipe-1.other'],
      ['pipe-1.both', 'pipe-1.both'],
    ]);
    const third = await end(await start({ cache: false }));
    expect(third.status.steps.at(-1)).toMatchObject({ artifact: 'pipe-3.both', cachedFrom: null });
    const again = await server.client.rerunRun({ params: { name: 'pipe-1' }, body: { from: 'both' } });
    expect(again.spec.rerunOf).toEqual({ run: 'pipe-1', from: 'both' });
    const fourth = await end(again.metadata.name);
    expect(fourth.status.steps.map(({ artifact }) => artifact)).toEqual(['things.v1', 'pipe-1.view', 'pipe-1.other', 'pipe-4.both']);
    expect(await server.createdBy('process')).toEqual(['pipe-1.view', 'pipe-3.view']);

    // what another run has taken outlives the run that made it
    await server.client.deleteResource({ params: { plural: 'runs', name: 'pipe-1' } });
    const kept = async (run: string) => (await server.fetch(`/containers/process/artifacts/${run}.view/status`)).status;
    expect(await kept('pipe-1')).toBe(200);
    for (const name of ['pipe-2', 'pipe-4']) await server.client.deleteResource({ params: { plural: 'runs', name } });
    expect(await kept('pipe-1')).toBe(404);
    expect(await kept('pipe-3')).toBe(200);
  });

  it('are refused at the start when a tool or a hyperparameter does not exist', async () => {
    const lost = { id: 'lost', tool: 'nothing', parameters: { x: reference('hyperparams.momentum') } };
    await begin({ steps: [lost], sweep: { method: 'grid', parameters: { lr: [0.1, -1], speed: [1] }, metric: 'm' } });
    await expect(start()).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: {
        issues: [
          { path: 'spec.steps[0].tool' },
          { path: 'spec.steps[0]', message: 'hyperparams.momentum is not set; there are lr, batch_size, epochs' },
          { path: 'spec.sweep.parameters.speed' },
          { path: 'spec.sweep.parameters.lr' },
        ],
      },
    });
  });

  it('are repeated only if they still fit what is known of the dataset', async () => {
    await begin({});
    const name = (await end(await start())).metadata.name;
    await server.stopServer();
    // What a run of before the check looks like: of a pipeline for pictures, over a dataset that is a table.
    const store = await openStore({
      file: join(server.dir, 'selvedge.sqlite'),
      announce: () => undefined,
      log: createLogger({ name: 'test', write: () => undefined }),
    });
    await store.update('DatasetVersion', 'things.v1', (current) => {
      const { content } = current.status;
      if (content == null) throw new Error('no content');
      return draftOf(current, { status: { ...current.status, content: { ...content, type: 'tabular' } } });
    });
    await store.close();
    await server.startAgain();
    await expect(server.client.rerunRun({ params: { name }, body: { from: 'benchmark' } })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { issues: [{ path: 'spec.preproc.pipeline[0]', message: expect.stringContaining('the dataset is a table') }] },
    });
    expect((await server.client.listResources({ params: { plural: 'runs' }, query: {} })).items).toHaveLength(1);
  });

  it('end a tool that does not let go of its work, at the timeout', async () => {
    await begin({
      steps: [
        { id: 'hang', tool: 'process', timeoutS: 1 },
        { id: 'after', tool: 'export', needs: ['hang'] },
      ],
    });
    await server.toolFlag('process', 'hold', true);
    await server.toolFlag('process', 'deaf', true);
    const name = await start();
    const pid = async () => (await server.client.listModules()).items.find((module) => module.name === 'process')?.pid;
    const before = await pid();
    const run = await server.waitForRun(name, isFinished, 'ended', 60_000);
    expect(run.status).toMatchObject({ phase: 'Failed', error: { code: 'TIMEOUT' } });
    expect(run.status.steps.map((step) => step.state)).toEqual(['failed', 'skipped']);
    expect(await pid()).not.toBe(before);
    expect(() => process.kill(before ?? 0, 0)).toThrow('ESRCH');
  }, 90_000);

  it('try hyperparameters in a sweep, go on after a restart, and register the best', async () => {
    await begin({ sweep: { method: 'grid', parameters: { lr: [0.1, 0.2, 0.3] }, metric: 'validation/accuracy', parallel: 2 } });
    await server.toolFlag('train', 'hold', true);
    const name = await start();
    await server.waitForRun(name, (run) => run.status.sweep?.children.length === 2, 'two runs at work');
    const isTraining = (run: Run) => run.status.steps.some((step) => step.name === 'train' && step.state === 'running');
    await server.waitForRun('pipe-1.s1', isTraining, 'training');
    await server.stopServer();
    await server.toolFlag('train', 'hold', false);
    await server.startAgain();
    const run = await server.waitForRun(name, isFinished, 'finished', 60_000);
    expect(run.status).toMatchObject({
      phase: 'Succeeded',
      modelVersion: 'thing/1',
      sweep: {
        children: [
          { run: 'pipe-1.s1', parameters: { lr: 0.1 }, phase: 'Succeeded', value: 0.5 },
          { run: 'pipe-1.s2', parameters: { lr: 0.2 } },
          { run: 'pipe-1.s3', parameters: { lr: 0.3 } },
        ],
        best: { run: 'pipe-1.s1', value: 0.5 },
      },
    });
    const child = await server.resource('Run', 'pipe-1.s2');
    expect(child.spec).toMatchObject({ cause: { type: 'sweep', by: 'pipe-1', detail: 'lr=0.2' }, sweepOf: { run: 'pipe-1', index: 2 } });
    expect(await server.createdBy('process')).toEqual(['pipe-1.s1.process']);
    const { versions } = await server.client.getModel({ params: { name: 'thing' } });
    expect(versions.map((version) => version.spec.lineage?.run)).toEqual(['pipe-1.s1']);
  }, 90_000);
});

describe('triggers', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  const call = (path: string, secret: string, body: string, timestamp = Math.floor(Date.now() / 1000)) =>
    fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-selvedge-timestamp': String(timestamp),
        'x-selvedge-signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`,
      },
      body,
    });
  const runs = async () => (await server.client.listResources({ params: { plural: 'runs' } })).items as Run[];
  const ofAgain = (all: readonly Run[]) => {
    const found = all.filter((run) => run.spec.pipeline === 'again');
    return found.length === 0 ? undefined : found;
  };
  const waitForRuns = (count: number) =>
    waitUntil(async () => ((await runs()).length === count ? runs() : undefined), { timeoutMs: 20_000, what: `${count} runs` });

  it('start a run for a new version of a dataset, for signed calls, and by hand, and say so', async () => {
    server = await TestServer.start();
    const steps = [{ id: 'only', tool: 'process', cache: false }];
    const triggers = [
      { dataset: 'things', debounceS: 0 },
      { webhook: {}, debounceS: 1 },
      'manual',
      { schedule: '0 3 * * *', name: 'nightly' },
    ];
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, steps, triggers });
    const list = async () => (await server.client.listTriggers({ query: {} })).items;
    expect((await list()).map(({ name, nextAt, hasSecret }) => [name, nextAt !== null, hasSecret])).toEqual([
      ['dataset', false, false],
      ['webhook', false, false],
      ['manual', false, false],
      ['nightly', true, false],
    ]);
    await waitUntil(async () => (await server.fetch('/api/v1/triggers')).ok, { timeoutMs: 30_000, what: 'triggers' });
    await server.addDataset('things');
    const [first] = await waitForRuns(1);
    expect(first?.spec.cause).toEqual({
      type: 'trigger',
      by: 'dataset',
      trigger: 'dataset',
      detail: 'things version 1 is ready',
      events: 1,
    });

    const path = '/webhooks/pipe/webhook';
    expect((await call(path, 'guess', '{}')).status).toBe(401);
    const { secret, webhookPath } = await server.client.makeTriggerSecret({ params: { name: 'pipe', trigger: 'webhook' } });
    expect(webhookPath).toBe(path);
    expect((await call(path, 'guess', '{}')).status).toBe(401);
    expect((await call(path, secret, '{}', Math.floor(Date.now() / 1000) - 600)).status).toBe(401);
    const now = Math.floor(Date.now() / 1000);
    expect((await call(path, secret, '{"a":1}', now)).status).toBe(202);
    expect((await call(path, secret, '{"a":1}', now)).status).toBe(409);
    expect((await call(path, secret, '{"a":2}', now)).status).toBe(202);
    const second = (await waitForRuns(2)).find((run) => run.spec.cause.trigger === 'webhook');
    expect(second?.spec.cause).toMatchObject({ by: 'webhook', detail: 'called by its webhook', events: 2 });
    expect(JSON.stringify(await list())).not.toContain(secret);

    const third = await server.client.fireTrigger({ params: { name: 'pipe', trigger: 'nightly' } });
    expect(third.spec.cause).toMatchObject({ type: 'trigger', trigger: 'nightly', detail: 'fired by hand' });
    await expect(server.client.fireTrigger({ params: { name: 'pipe', trigger: 'never' } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }, 60_000);

  it('start a run when their time has come', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    const steps = [{ id: 'only', tool: 'process' }];
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, steps, triggers: [{ schedule: '* * * * * *', debounceS: 0 }] });
    const first = await waitUntil(async () => (await runs())[0], { timeoutMs: 20_000, what: 'a scheduled run' });
    const { detail, ...cause } = first.spec.cause;
    expect(cause).toMatchObject({ type: 'trigger', by: 'schedule', trigger: 'schedule' });
    expect(detail).toMatch(/^scheduled for \d{4}-\d\d-\d\dT/);
  }, 60_000);

  it('start a run when a metric of another pipeline is on the wrong side, once', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    const watch = { name: 'validation/accuracy', pipeline: 'pipe', below: 0.9 };
    await server.applyPipeline('again', {
      ...SMALL_PIPELINE,
      steps: [{ id: 'only', tool: 'process' }],
      triggers: [{ metric: watch, debounceS: 0 }],
    });
    await server.applyPipeline('pipe', SMALL_PIPELINE);
    const train = async () => {
      const { metadata } = await server.client.startRun({ params: { name: 'pipe' }, body: {} });
      await server.waitForRun(metadata.name, isFinished, 'finished');
    };
    await train();
    const [started] = await waitUntil(async () => ofAgain(await runs()), { timeoutMs: 20_000, what: 'a run of "again"' });
    expect(started?.spec.cause).toMatchObject({ by: 'metric', detail: 'validation/accuracy of pipe-1 is 0.5, below 0.9' });
    // as bad as before: that is no news
    await train();
    const looked = (await server.client.listTriggers({ query: {} })).items;
    expect(looked).toMatchObject([{ pipeline: 'again', name: 'metric', pending: null }]);
    expect(ofAgain(await runs())).toHaveLength(1);
  }, 60_000);

  it('are refused with the path of what cannot be followed', async () => {
    server = await TestServer.start();
    const apply = server.applyPipeline('pipe', {
      ...SMALL_PIPELINE,
      triggers: [{ schedule: '61 * * * *' }, { schedule: '0 0 * * *', timezone: 'Moon/Base' }],
    });
    await expect(apply).rejects.toThrow(/spec\.triggers\[0\]\.schedule.*spec\.triggers\[1\]\.timezone/s);
  });
});
