import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device, Run, RunStep } from '@selvedge/contract';
import { readTextFile, waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { deploy, startTrained } from './harness/trained.ts';

/** Long enough that there is time to break it, short enough to end. */
const LONGER = { ...SMALL_PIPELINE, model: { name: 'digits', hyperparams: { lr: 0.003, batch_size: 16, epochs: 20 } } };

describe('faults on the server', () => {
  let product: Product;
  afterEach(() => product.stop());

  async function startRun(): Promise<string> {
    const file = join(product.dir, 'longer.json');
    await writeFile(file, JSON.stringify(LONGER));
    await product.cliJson(['apply', '-f', file, '--name', 'longer']);
    const run = await product.cliJson<Run>(['pipeline', 'run', 'longer']);
    return run.metadata.name;
  }

  async function getRun(name: string): Promise<Run> {
    const api = await product.api();
    const resource = await api.getResource({ params: { plural: 'runs', name } });
    if (resource.kind !== 'Run') throw new Error('not a run');
    return resource;
  }

  const stepOf = (run: Run, name: string): RunStep => run.status.steps.find((step) => step.name === name)!;

  async function waitForStep(name: string, step: string, test: (step: RunStep) => boolean): Promise<Run> {
    return waitUntil(
      async () => {
        const run = await getRun(name);
        if (run.status.phase === 'Failed') throw new Error(run.status.message);
        return test(stepOf(run, step)) ? run : undefined;
      },
      { timeoutMs: 120_000, intervalMs: 50, what: `step ${step} of ${name}` },
    );
  }

  /** The processes that a process has started, and those that they have. */
  async function descendantsOf(pid: number): Promise<number[]> {
    const children = (await readTextFile(`/proc/${pid}/task/${pid}/children`)) ?? '';
    const pids = children.split(' ').filter(Boolean).map(Number);
    return [...pids, ...(await Promise.all(pids.map(descendantsOf))).flat()];
  }

  const gone = (pids: readonly number[]) =>
    waitUntil(() => !pids.some((pid) => existsSync(`/proc/${pid}`)), {
      timeoutMs: 30_000,
      what: `the processes ${pids.join(', ')} to be gone`,
    });

  it('server killed in the middle of a run: the run goes on after the restart, no finished step is done twice', async () => {
    product = await startTrained();
    const name = await startRun();
    const before = await waitForStep(name, 'train', (step) => step.state === 'running' && step.progress > 0);
    const processes = await descendantsOf(product.server.child.pid!);
    expect(processes.length).toBeGreaterThan(1); // tools, and the training that one of them has started
    await product.server.kill('SIGKILL');
    await gone(processes);
    await product.startServer();
    const after = await waitForStep(name, 'register', (step) => step.state === 'completed');
    expect(after.status.phase).toBe('Succeeded');
    expect(stepOf(after, 'train').resources).toMatchObject({
      asked: {},
      granted: { threads: 1, memoryMiB: null, nice: 0, gpus: [] },
      enforcedBy: expect.stringMatching(/^(cgroup|polling)$/),
      used: { cpuSeconds: expect.toSatisfy((s: number) => s > 0), peakMemoryMiB: expect.toSatisfy((mib: number) => mib > 20) },
    });
    const shown = await product.cli(['run', 'show', name]);
    expect(shown.stdout).toMatch(/train +\S+ +\d+ MiB +none +1 \(default\) +0 +- +(cgroup|polling)\n/);
    for (const step of ['import', 'process', 'export', 'split']) {
      expect(stepOf(after, step), step).toEqual(stepOf(before, step));
    }
    expect(after.status.modelVersion).toBe('digits/2');
    const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
    expect(versions.map((version) => version.spec.version).sort()).toEqual(['1', '2']);
  });

  it('a tool killed during training: reported, started again, the step retried to its end', async () => {
    product = await startTrained();
    const name = await startRun();
    await waitForStep(name, 'train', (step) => step.state === 'running' && step.progress > 0);
    const api = await product.api();
    const { items } = await api.listModules();
    const tool = items.find((module) => module.name === 'train')!;
    const processes = await descendantsOf(tool.pid!);
    expect(processes.length).toBeGreaterThan(0);
    process.kill(tool.pid!, 'SIGKILL');
    await gone(processes);
    const killedAt = Date.now();
    await waitUntil(
      async () =>
        (await api.listModules()).items.some(
          (module) => module.name === 'train' && module.restarts === 1 && module.lastExit?.signal === 'SIGKILL',
        ),
      {
        timeoutMs: 30_000,
        intervalMs: 50,
        what: 'the death of the tool to be reported',
      },
    );
    expect(Date.now() - killedAt).toBeLessThanOrEqual(10_000);
    const after = await waitForStep(name, 'register', (step) => step.state === 'completed');
    expect(stepOf(after, 'train').attempt).toBe(2);
    expect(stepOf(after, 'split').attempt).toBe(0); // taken from the first run
  });

  it.skipIf(process.getuid?.() !== 0)(
    'disk full while a blob is written: a clear error, nothing half-written is left as valid',
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'selvedge-full-'));
      const data = join(dir, 'server');
      mkdirSync(data);
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', data]);
      expect(mounted.status, String(mounted.stderr)).toBe(0);
      try {
        product = await Product.create({ dir });
        await product.startServer();
        const big = join(dir, 'big/train/a');
        mkdirSync(big, { recursive: true });
        await writeFile(join(big, 'noise.png'), randomBytes(60 * 1024 * 1024));
        const result = await product.cli(['dataset', 'add', 'big', '--from', join(dir, 'big')]);
        expect(result.code, result.stderr).toBe(6);
        expect(result.stderr).toMatch(/space/);
        const files = (await readdir(join(data, 'blobs'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
        expect(files.map((entry) => entry.name)).toEqual([]);
        expect((await product.cli(['get', 'datasetversions', '-o', 'json'])).stdout).not.toContain('big.v1');
        expect((await product.cli(['status'])).code).toBe(0);
      } finally {
        await product.server.kill('SIGTERM');
        spawnSync('umount', [data]);
        await rm(dir, { recursive: true, force: true });
      }
    },
  );

  it.skipIf(process.getuid?.() !== 0)(
    'disk full while devices report: the server stays up and says so, devices serve, and all goes on when there is space',
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'selvedge-full-'));
      const data = join(dir, 'server');
      mkdirSync(data);
      const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', data]);
      expect(mount('size=60m').status).toBe(0);
      try {
        await cp(inject('trained'), dir, { recursive: true });
        product = await Product.create({ dir });
        await product.startServer();
        await deploy(product);
        await product.startAgent('edge-1', { args: ['--telemetry-interval-s', '1', '--telemetry-batch-s', '1'] });
        const serves = (version: string) => (device: Device) =>
          device.status.workloads.some((workload) => workload.servingVersion === version);
        await product.waitForDevice('edge-1', serves('1'), 'serving', 60_000);
        await writeFile(join(data, 'filler'), Buffer.alloc(80 * 1024 * 1024)).catch(() => undefined);
        await waitUntil(() => /full|ENOSPC|No space/i.test(product.server.log), { timeoutMs: 60_000, what: 'the server to say so' });
        const refused = await product.cli(['device', 'set', 'edge-1', '--notes', 'x'.repeat(3000)]);
        expect(refused).toMatchObject({ code: 6, stderr: expect.stringContaining('No space left while writing') });
        expect(product.server.isAlive).toBe(true);
        expect((await product.cli(['status'])).code).toBe(0);
        await rm(join(data, 'filler'));
        expect((await product.cli(['device', 'set', 'edge-1', '--notes', 'again'])).code).toBe(0);
        await product.waitForDevice('edge-1', (device) => device.status.online && serves('1')(device), 'online and serving', 60_000);
      } finally {
        await product.server.kill('SIGTERM');
        spawnSync('umount', [data]);
        await rm(dir, { recursive: true, force: true });
      }
    },
  );
});
