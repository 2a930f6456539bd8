import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jobResourcesSchema } from '@selvedge/contract';
import { findControlGroupParent, waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { JOB_TOOLS } from '../../testing/job-tools.ts';
import { type ToolClient, ToolHarness } from '../../testing/tool-harness.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

const jobCommand = [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  fileURLToPath(new URL('../../testing/job-main.ts', import.meta.url)),
];
const enforcedBy = (await findControlGroupParent()) === undefined ? 'polling' : 'cgroup';
let client: ToolClient;
beforeAll(async () => {
  const tool = JOB_TOOLS.job;
  if (tool === undefined) throw new Error('no tool');
  ({ client } = await harness.serve(tool, { jobCommand }));
});

const make = (name: string, parameters: Record<string, unknown>) => client.make({ name, parameters });
const isAlive = (pid: number) => existsSync(`/proc/${pid}`);

/** Of the job's process and of one that it has started. */
async function pidsOf(name: string): Promise<number[]> {
  return waitUntil(
    async () => {
      const found = /pids (\d+) (\d+)/.exec(await client.text(`/artifacts/${name}/log`));
      return found === null ? undefined : [Number(found[1]), Number(found[2])];
    },
    { timeoutMs: 20_000, intervalMs: 20, what: 'the work to tell its processes' },
  );
}

describe('work in a process of its own', { timeout: 60_000 }, () => {
  it('leaves files, metrics and progress as in the process of the tool, and what it has used', async () => {
    const status = await make('reported', { does: 'report', memoryMiB: 4096, nice: 5 });
    expect(status).toMatchObject({ status: 'completed', error: null });
    const report = z
      .object({ pid: z.int(), nice: z.int(), usage: jobResourcesSchema })
      .parse(await client.json('/artifacts/reported/data/report.json'));
    expect(report.pid).not.toBe(process.pid);
    expect(report.nice).toBe(5);
    const atReport = report.usage;
    expect(atReport.used.cpuSeconds).toBeGreaterThan(0.25);
    expect(atReport.used.peakMemoryMiB).toBeGreaterThan(20);
    expect(status.resources).toMatchObject({
      asked: { memoryMiB: 4096, nice: 5 },
      granted: { memoryMiB: 4096, nice: 5, gpus: [] },
      enforcedBy,
    });
    expect(status.resources?.used.wallSeconds).toBeGreaterThanOrEqual(atReport.used.wallSeconds);
    expect(await client.text('/artifacts/reported/metrics/number/csv')).toContain('7');
    expect(await client.text('/artifacts/reported/log')).toContain('number is not a finite number at step 2');
  });

  it('fails when it has more memory than it may, and the tool goes on', async () => {
    const status = await make('hungry', { does: 'hold-memory', memoryMiB: 256 });
    expect(status).toMatchObject({ status: 'failed', error: { code: 'OUT_OF_MEMORY' } });
    const [, limit, peak] = /^out of memory: limit (\d+) MiB, peak (\d+) MiB$/.exec(status.error?.message ?? '') ?? [];
    expect(limit).toBe('256');
    // A control group never gets more than its limit; who only looks on sees by how much it was passed.
    const least = enforcedBy === 'cgroup' ? 250 : 256.01;
    expect(Number(peak)).toBeGreaterThan(least);
    expect(status.resources).toMatchObject({ enforcedBy, used: { peakMemoryMiB: expect.toSatisfy((mib: number) => mib > least) } });
    expect((await make('after', { does: 'report' })).status).toBe('completed');
  });

  it.each(['wait', 'ignore-the-end'])('is gone with all that it has started when it is cancelled (%s)', async (does) => {
    await client.post({ name: `cancelled-${does}`, parameters: { does } });
    const pids = await pidsOf(`cancelled-${does}`);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await client.fetch(`/artifacts/cancelled-${does}/cancel`, { method: 'POST' });
    expect(await client.waitFor(`cancelled-${does}`, ['cancelled'])).toMatchObject({ error: null });
    await waitUntil(() => !pids.some(isAlive), { timeoutMs: 30_000, what: 'the processes to be gone' });
  });

  it.each([
    ['throw', { code: 'INTERNAL', message: 'a fault of the work' }],
    ['refuse', { code: 'DATASET_FORMAT', message: 'no such samples', hint: 'add some', issues: [{ path: 'a', message: 'b' }] }],
    ['exit', { code: 'STEP_FAILED', message: expect.stringMatching(/ended with code 3; .*the last words/) }],
  ])('fails with what went wrong (%s)', async (does, error) => {
    expect(await make(`failed-${does}`, { does })).toMatchObject({ status: 'failed', error });
  });
});
