import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { artifactStatusSchema, metricPointSchema, toolDescriptionSchema } from '@selvedge/contract';
import { createRandom } from '@selvedge/graph/train';
import { EXIT_WITH_PARENT_ENV, waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { TensorSetWriter } from './tensor-set/tensor-set-writer.ts';
import { type FileServer, startFileServer } from './testing/file-server.ts';
import { TEST_TOKEN, ToolClient, ToolHarness } from './testing/tool-harness.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

interface Started {
  readonly child: ChildProcess;
  readonly client: ToolClient;
  readonly stderr: () => string;
}

function spawnMain(args: readonly string[], env: Record<string, string> = {}): { child: ChildProcess; stderr: () => string } {
  const main = new URL('./main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, [EXIT_WITH_PARENT_ENV]: '1', SELVEDGE_TOOL_TOKEN: TEST_TOKEN, ...env },
  });
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return { child, stderr: () => text };
}

async function start(tool: string, dataDir: string, env: Record<string, string> = {}): Promise<Started> {
  const { child, stderr } = spawnMain([tool, '--data', dataDir], env);
  harness.onEnd(() => kill(child));
  if (child.stdout === null) throw new Error('no stdout');
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, port } = JSON.parse(line);
    expect(event).toBe('listening');
    return { child, client: new ToolClient(`http://127.0.0.1:${port}`), stderr };
  }
  throw new Error(`The tool did not start: ${stderr()}`);
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

let trainingSet: FileServer;
beforeAll(async () => {
  const folder = await harness.folder();
  const writer = new TensorSetWriter(folder, { labels: ['a', 'b'], sampleShape: [1, 12, 12], layout: 'CHW' });
  const random = createRandom(1);
  for (const [split, count] of [
    ['train', 600],
    ['validation', 60],
    ['test', 20],
  ] as const) {
    await writer.writeSplit(split, count, async (add) => {
      for (let i = 0; i < count; i += 1) {
        await add(
          Float32Array.from({ length: 144 }, () => random.uniform() + (i % 2) * 0.2),
          BigInt64Array.of(BigInt(i % 2)),
        );
      }
    });
  }
  await writer.writeInfo();
  trainingSet = await startFileServer((_request, response) => {
    const zip = new ZipFile();
    for (const name of ['info.json', 'train.x.npy', 'train.y.npy', 'validation.x.npy', 'validation.y.npy', 'test.x.npy', 'test.y.npy'])
      zip.addFile(join(folder, name), name);
    zip.end();
    response.setHeader('content-type', 'application/zip');
    zip.outputStream.pipe(response);
  });
  harness.onEnd(() => trainingSet.close());
});

const request = (name: string) => ({
  name,
  parameters: { hyperparams: { lr: 1e-3, batch_size: 16, epochs: 6 }, train: { network: 'small-cnn' } },
  inputs: { 'training-set': { url: `${trainingSet.origin}/data` } },
});

async function epochsShown(client: ToolClient, name: string): Promise<number[]> {
  const response = await client.fetch(`/artifacts/${name}/metrics/validation.loss/points`);
  if (!response.ok) return [];
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  return lines.map((line) => metricPointSchema.parse(JSON.parse(line)).step);
}

const readStatus = async (dataDir: string, name: string) =>
  artifactStatusSchema.parse(JSON.parse(await readFile(join(dataDir, 'artifacts', name, 'status'), 'utf8')));

describe('the process of a tool', () => {
  it('goes on after kill -9 with the last finished epoch, ends in the same model, and keeps the queue', { timeout: 120_000 }, async () => {
    const dataDir = await harness.folder();
    const first = await start('train', dataDir);
    expect(toolDescriptionSchema.parse(await first.client.json('/')).codeDigest).toMatch(/^[0-9a-f]{64}$/);
    await first.client.post(request('killed'));
    await first.client.post(request('behind'));
    await waitUntil(async () => (await epochsShown(first.client, 'killed')).length >= 2, {
      timeoutMs: 60_000,
      what: 'two epochs',
      intervalMs: 5,
    });
    await kill(first.child);
    expect((await readStatus(dataDir, 'killed')).status).toBe('in-progress');

    const second = await start('train', dataDir);
    const status = await second.client.waitFor('killed', ['completed', 'failed'], 60_000);
    expect(status).toMatchObject({ status: 'completed', attempt: 2 });
    expect(await second.client.text('/artifacts/killed/log')).toMatch(/going on after epoch [1-5]\n/);
    expect(await epochsShown(second.client, 'killed')).toEqual([1, 2, 3, 4, 5, 6]);

    expect(await second.client.waitFor('behind', ['completed', 'failed'], 60_000)).toMatchObject({ status: 'completed', attempt: 1 });
    const model = async (name: string) =>
      Buffer.from(await (await second.client.fetch(`/artifacts/${name}/data/model.onnx`)).arrayBuffer());
    expect((await model('killed')).equals(await model('behind'))).toBe(true);
    // Finished before: the same request is answered with it, nothing is made again.
    expect((await second.client.post(request('killed'))).status).toBe(200);
  });

  it('puts its work back into the queue on SIGTERM and exits with 0', { timeout: 60_000 }, async () => {
    const dataDir = await harness.folder();
    const { child, client, stderr } = await start('train', dataDir);
    await client.post(request('interrupted'));
    await waitUntil(async () => (await epochsShown(client, 'interrupted')).length >= 1, {
      timeoutMs: 60_000,
      what: 'an epoch',
      intervalMs: 5,
    });
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect([code, stderr()]).toEqual([0, '']);
    expect(await readStatus(dataDir, 'interrupted')).toMatchObject({ status: 'queued', attempt: 1 });
    const again = await start('train', dataDir);
    expect(await again.client.waitFor('interrupted', ['completed', 'failed'], 60_000)).toMatchObject({ status: 'completed', attempt: 2 });
  });

  it('ends when its parent is gone', { timeout: 30_000 }, async () => {
    const { child } = await start('split', await harness.folder());
    child.stdin?.end();
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });

  it.each([
    ['no tool', [], {}],
    ['an unknown tool', ['nothing', '--data', '/tmp/x'], {}],
    ['no data folder', ['split'], {}],
    ['a port that is none', ['split', '--data', '/tmp/x', '--port', '99999'], {}],
    ['no token', ['split', '--data', '/tmp/x'], { SELVEDGE_TOOL_TOKEN: '' }],
  ])('refuses %s with exit code 2', { timeout: 30_000 }, async (_what, args, env) => {
    const { child, stderr } = spawnMain(args, env);
    const [code] = await once(child, 'close');
    expect(code).toBe(2);
    expect(stderr()).toMatch(/error: /);
    expect(stderr()).not.toContain(TEST_TOKEN);
  });
});
