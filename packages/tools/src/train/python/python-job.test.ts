import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { artifactStatusSchema } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { zipFiles } from '../../kit/http/zip-folder.ts';
import { installCards, restorePath } from '../../testing/fake-nvidia-smi.ts';
import { writeQuadrantSet } from '../../testing/quadrant-set.ts';
import { type ToolClient, ToolHarness } from '../../testing/tool-harness.ts';
import { trainTool } from '../train-tool.ts';

const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;
const jobCommand = [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL('../../job-main.ts', import.meta.url))];

const harness = new ToolHarness();
afterEach(restorePath);
afterAll(() => harness.end());

let client: ToolClient;
let zip: Buffer<ArrayBuffer>;
beforeAll(async () => {
  const folder = await writeQuadrantSet(await harness.folder(), { train: 8, validation: 4, test: 4 });
  zip = Buffer.from(await buffer(zipFiles(folder, await readdir(folder))));
  ({ client } = await harness.serve(trainTool, { jobCommand }));
});

/** Begins a training by a script, in a process of its own as in the product. */
async function begin(name: string, lines: readonly string[], train: Record<string, unknown> = {}): Promise<void> {
  const script = { path: 'train.py', text: lines.join('\n') };
  const parameters = { hyperparams: { lr: 0.1, batch_size: 4, epochs: 2 }, train: { engine: 'python', script, ...train } };
  const form = new FormData();
  form.append('request', JSON.stringify({ name, parameters }));
  form.append('training-set', new Blob([zip]), 'set.zip');
  const response = await client.fetch('/artifacts', { method: 'POST', body: form });
  expect(response.status, await response.text()).toBe(202);
}

const finished = (name: string) => client.waitFor(name, ['completed', 'failed', 'cancelled'], 60_000);
const isAlive = (pid: number) => existsSync(`/proc/${pid}`);

/** Of the script and of a process that it has started. */
async function pidsOf(name: string): Promise<number[]> {
  return waitUntil(
    async () => {
      const [, ...pids] = /pids (\d+) (\d+)/.exec(await client.text(`/artifacts/${name}/log`)) ?? [];
      return pids.length === 2 ? pids.map(Number) : undefined;
    },
    { timeoutMs: 30_000, intervalMs: 50, what: 'the script to tell its processes' },
  );
}

const WITH_CHILD = [
  'import os, signal, subprocess, sys, time',
  'child = subprocess.Popen(["sleep", "600"])',
  'print("pids", os.getpid(), child.pid)',
];

describe.runIf(HAS_PYTHON)('a script in the job of a training', { timeout: 90_000 }, () => {
  it.each([
    ['waits', [...WITH_CHILD, 'time.sleep(600)']],
    ['does not listen', ['import signal', 'signal.signal(signal.SIGTERM, signal.SIG_IGN)', ...WITH_CHILD, 'time.sleep(600)']],
  ])('that %s is gone with all that it has started when it is cancelled', async (what, lines) => {
    const name = `cancelled-${what.replaceAll(' ', '-')}`;
    await begin(name, lines);
    const pids = await pidsOf(name);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await client.fetch(`/artifacts/${name}/cancel`, { method: 'POST' });
    expect(await client.waitFor(name, ['cancelled'], 30_000)).toMatchObject({ error: null });
    await waitUntil(() => !pids.some(isAlive), { timeoutMs: 30_000, what: 'the processes to be gone' });
  });

  it('that asks is told that it is cancelled', async () => {
    const lines = ['import time', 'from selvedge import training', 'training.cancelled()', 'print("asking")'];
    await begin('asks', [...lines, 'while not training.cancelled(): time.sleep(0.02)', 'print("I have been told")']);
    await waitUntil(async () => (await client.text('/artifacts/asks/log')).includes('asking') || undefined, {
      timeoutMs: 30_000,
      intervalMs: 50,
      what: 'the script to begin',
    });
    await client.fetch('/artifacts/asks/cancel', { method: 'POST' });
    await client.waitFor('asks', ['cancelled'], 30_000);
    expect(await client.text('/artifacts/asks/log')).toContain('I have been told');
  });

  it('has the memory of its pipeline, counted with that of its children', async () => {
    const hungry = 'import time; held = bytearray(600 << 20); time.sleep(600)';
    await begin('hungry', ['import subprocess, sys', `subprocess.run([sys.executable, "-c", "${hungry}"])`], {
      resources: { memoryMiB: 512 },
    });
    const status = await finished('hungry');
    expect(status).toMatchObject({ status: 'failed', error: { code: 'OUT_OF_MEMORY' } });
    expect(status.resources?.used.peakMemoryMiB).toBeGreaterThan(500);
  });

  it('does not see the token of the tools, and leaves what a model needs', async () => {
    await begin('good', [
      'import os',
      'from selvedge import training',
      'assert not any("TOKEN" in name for name in os.environ)',
      'job = training.load()',
      'model = training.OnnxModel(input_shape=[None, *job.sample_shape])',
      'model.output(model.gemm(model.flatten(model.input), [[0.0] * 4] * 64), shape=[None, 4])',
      'model.save(job.model_path)',
      'training.report(epoch=2, validation_accuracy=0.25)',
    ]);
    const status = artifactStatusSchema.parse(await finished('good'));
    expect(status, JSON.stringify(status.error)).toMatchObject({ status: 'completed', resources: { granted: { threads: 1 } } });
    expect(await client.json('/artifacts/good/data/training.json')).toMatchObject({
      epochs: 2,
      metrics: { 'validation/accuracy': 0.25 },
      resources: { used: { wallSeconds: expect.any(Number) } },
    });
  });

  it('gets the GPUs that the pipeline asks for, and no other', async () => {
    const [, second = ''] = await installCards(harness, 2);
    await begin('with-gpu', ['import os', 'print("cards", os.environ["CUDA_VISIBLE_DEVICES"])'], { resources: { gpus: [second] } });
    const { resources } = artifactStatusSchema.parse(await finished('with-gpu'));
    expect(resources?.granted.gpus).toMatchObject([{ uuid: second, index: 1 }]);
    expect(await client.text('/artifacts/with-gpu/log')).toContain(`cards ${second}`);
    await begin('too-many', ['pass'], { resources: { gpus: 3 } });
    expect(await finished('too-many')).toMatchObject({ error: { code: 'RESOURCES_UNAVAILABLE' } });
  });
});
