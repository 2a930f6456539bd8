import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '@selvedge/contract';
import { buildNetwork, writeModel } from '@selvedge/graph/onnx';
import { EXIT_WITH_PARENT_ENV, waitUntil } from '@selvedge/runtime';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { defineTool } from '../kit/index.ts';
import { behind, startGateway, type TestGateway } from '../testing/gateway.ts';
import { HAS_PYTHON, shownScalars, type WitnessedEvent, witnessEvents } from '../testing/read-events.ts';
import { TEST_TOKEN, ToolClient, ToolHarness } from '../testing/tool-harness.ts';
import { createVisualizeTool } from './visualize-tool.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

const gates = new EventTarget();
const open = (gate: string) => gates.dispatchEvent(new Event(gate));

/** Writes two points, waits at its gate, writes the third; the second attempt goes on from the first point. */
const learner = defineTool({
  name: 'train',
  description: 'writes metrics',
  class: 'models',
  makes: 'model',
  parameters: z.strictObject({ gate: z.string().optional(), model: z.boolean().optional() }),
  inputs: {},
  async create({ parameters, dataDir, checkpointDir, attempt, signal, metric }) {
    await writeFile(join(checkpointDir, 'at'), '1');
    for (let step = attempt === 1 ? 1 : 2; step <= 2; step += 1) metric('train/loss', step, attempt / step);
    const { gate, model } = parameters;
    if (gate !== undefined) await once(gates, gate, { signal }).catch(() => signal.throwIfAborted());
    metric('train/loss', 3, 0.25);
    metric('rate', 1, 8);
    const bytes = writeModel(buildNetwork({ layers: 'small-cnn', inputShape: [1, 12, 12], classes: 2, seed: 1 }));
    await writeFile(join(dataDir, 'model.onnx'), model === true ? bytes : 'no model');
  },
});

const photographer = defineTool({
  name: 'import',
  description: 'writes a dataset',
  class: 'data',
  makes: 'dataset',
  parameters: z.strictObject({}),
  inputs: {},
  async create({ dataDir }) {
    await mkdir(join(dataDir, 'files'));
    const picture = sharp({ create: { width: 600, height: 300, channels: 3, background: '#f00' } });
    await picture.clone().png().toFile(join(dataDir, 'files/a.png'));
    await picture.clone().jpeg().toFile(join(dataDir, 'files/b.jpg'));
    await writeFile(join(dataDir, 'files/c.png'), 'broken');
    await writeFile(join(dataDir, 'dataset.json'), JSON.stringify({ labels: ['cat', 'dog', 'owl'] }));
    const lines = [
      { path: 'a.png', label: 0 },
      { path: 'a2.png', label: 0 },
      { path: 'b.jpg', label: 1 },
      { path: 'c.png', label: 2 },
    ];
    await writeFile(join(dataDir, 'manifest.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  },
});

let gateway: TestGateway;
let train: Awaited<ReturnType<typeof harness.serve>>;
let datasets: Awaited<ReturnType<typeof harness.serve>>;
beforeAll(async () => {
  train = await harness.serve(learner);
  datasets = await harness.serve(photographer);
  gateway = await startGateway(() => ({ train: train.url, import: datasets.url, visualize: 'http://127.0.0.1:1' }));
  harness.onEnd(() => gateway.close());
});

const WITHIN = { timeoutMs: 60_000, intervalMs: 100 };
const fileOf = (logdir: string, key: string) => join(logdir, key, 'events.out.tfevents.0.selvedge');
const eventsOf = async (logdir: string, key: string): Promise<WitnessedEvent[]> =>
  existsSync(fileOf(logdir, key)) ? witnessEvents(fileOf(logdir, key)) : [];

const whenComplete = (logdir: string, key: string) =>
  waitUntil(
    async () => {
      const events = await eventsOf(logdir, key);
      return events.at(-1)?.session?.status === 2 ? events : undefined;
    },
    { ...WITHIN, what: `${key} to be complete` },
  );
const whenTwoPoints = (logdir: string, key: string) =>
  waitUntil(async () => shownScalars(await eventsOf(logdir, key))['train/loss']?.length === 2, { ...WITHIN, what: 'two points' });

async function spawnVisualize(dataDir: string): Promise<{ child: ChildProcess; client: ToolClient }> {
  const main = new URL('../main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', main, 'visualize', '--data', dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      [EXIT_WITH_PARENT_ENV]: '1',
      SELVEDGE_TOOL_TOKEN: TEST_TOKEN,
      SELVEDGE_TRUSTED_ORIGINS: gateway.origin,
    },
  });
  harness.onEnd(() => kill(child));
  if (child.stdout === null) throw new Error('no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, client: new ToolClient(`http://127.0.0.1:${JSON.parse(line).port}`) };
  }
  throw new Error('The tool did not start.');
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe.skipIf(!HAS_PYTHON)('the log folder of the visualize tool', () => {
  it('grows while an artifact is made, and goes on after kill -9 without a point twice', { timeout: 120_000 }, async () => {
    const dataDir = await harness.folder();
    const logdir = join(dataDir, 'cache/logdir');
    await train.client.post({ name: 'live', parameters: { gate: 'live' } });
    const first = await spawnVisualize(dataDir);
    await whenTwoPoints(logdir, 'live/train');
    await kill(first.child);
    const before = await readFile(fileOf(logdir, 'live/train'));
    open('live');
    await train.client.waitFor('live', ['completed']);
    await spawnVisualize(dataDir);
    const events = await whenComplete(logdir, 'live/train');
    expect(shownScalars(events)).toEqual({
      rate: [[1, 8]],
      'train/loss': [
        [1, 1],
        [2, 0.5],
        [3, 0.25],
      ],
    });
    expect(events.filter(({ session }) => session?.status === 1)).toHaveLength(1);
    const after = await readFile(fileOf(logdir, 'live/train'));
    expect(after.subarray(0, before.length).equals(before)).toBe(true);
  });

  it('shows histograms of a model, pictures of a dataset, and no more than what is there', { timeout: 120_000 }, async () => {
    await train.client.make({ name: 'r-1.train', parameters: { model: true } });
    await datasets.client.make({ name: 'r-1.import' });
    const tool = await harness.serve(createVisualizeTool(), behind(gateway));
    const logdir = join(tool.dataDir, 'cache/logdir');
    const model = await whenComplete(logdir, 'r-1.train/train');
    const histograms = model.flatMap(({ summary }) => summary ?? []).filter(({ histogram }) => histogram !== undefined);
    expect(histograms.length).toBeGreaterThanOrEqual(4);
    for (const { tag, histogram } of histograms) {
      expect(tag).toMatch(/^weights\//);
      expect(histogram?.counts.reduce((sum, count) => sum + count, 0)).toBe(histogram?.num);
    }
    const pictures = (await whenComplete(logdir, 'r-1.import/import')).flatMap(({ summary }) => summary ?? []);
    expect(pictures).toEqual([
      { tag: 'samples/cat', image: { width: 256, height: 128, colorspace: 3, isPng: true } },
      { tag: 'samples/dog', image: { width: 256, height: 128, colorspace: 3, isPng: true } },
    ]);

    await train.client.fetch('/artifacts/r-1.train/', { method: 'DELETE' });
    await tool.client.make({ name: 'look-again' });
    expect(existsSync(join(logdir, 'r-1.train/train'))).toBe(false);
  });

  it('starts a curve anew when its artifact is made in another attempt', { timeout: 120_000 }, async () => {
    const dataDir = await harness.folder();
    const mine = { current: await harness.serve(learner, { dataDir }) };
    const own = await startGateway(() => ({ train: mine.current.url }));
    harness.onEnd(() => own.close());
    const tool = await harness.serve(createVisualizeTool(), behind(own));
    const logdir = join(tool.dataDir, 'cache/logdir');
    await mine.current.client.post({ name: 'again', parameters: { gate: 'again' } });
    await whenTwoPoints(logdir, 'again/train');
    await mine.current.stop();
    mine.current = await harness.serve(learner, { dataDir });
    // The second attempt waits at the gate once it has written its first point again.
    const lastValue = async () => (await mine.current.client.text('/artifacts/again/metrics/train.loss/latest')).includes('"value":1,');
    await waitUntil(lastValue, { ...WITHIN, what: 'the second attempt' });
    open('again');
    const events = await whenComplete(logdir, 'again/train');
    expect(shownScalars(events)).toEqual({
      rate: [[1, 8]],
      'train/loss': [
        [1, 1],
        [2, 1],
        [3, 0.25],
      ],
    });
  });

  it('is given as an artifact, whole or for one run', { timeout: 120_000 }, async () => {
    await train.client.make({ name: 'x-1.train' });
    await train.client.make({ name: 'x-2.train' });
    const tool = await harness.serve(createVisualizeTool(), behind(gateway));
    expect((await tool.client.make({ name: 'one', parameters: { run: 'x-1' } })).status).toBe('completed');
    const file = 'x-1.train/train/events.out.tfevents.0.selvedge';
    expect(await tool.client.json('/artifacts/one/files')).toMatchObject({ items: [{ path: file }] });
    const copy = join(await harness.folder(), 'copy');
    await writeFile(copy, Buffer.from(await (await tool.client.fetch(`/artifacts/one/data/${file}`)).arrayBuffer()));
    expect(shownScalars(await witnessEvents(copy)).rate).toEqual([[1, 8]]);
    expect(await tool.client.text('/artifacts/one/log')).toContain(`tensorboard --logdir ${join(tool.dataDir, 'cache/logdir')}`);
    expect((await tool.client.make({ name: 'none', parameters: { run: 'nothing' } })).error?.code).toBe('CONFLICT');
    const all = await tool.client.make({ name: 'all' });
    expect(all.status).toBe('completed');
    const alone = await harness.serve(createVisualizeTool());
    expect((await alone.client.make({ name: 'alone' })).error).toMatchObject({ code: new AppError('CONFLICT', { message: '' }).code });
  });
});
