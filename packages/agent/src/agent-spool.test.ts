import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasNumber, type SequenceRange, type TelemetryBatch, telemetryBatchSchema } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatStatus, readStatus } from './commands/status.ts';
import { AgentRig, exited, inferAt } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';

const DEVICE = 'device-1';
const FAST = ['--telemetry-interval-s', '1', '--telemetry-batch-s', '1', '--results-interval-s', '1'];
let rig: AgentRig;
beforeEach(async () => {
  rig = await AgentRig.start();
});
afterEach((context) => rig.stop(context.task.result?.state === 'fail'));

const batches = (): TelemetryBatch[] =>
  rig.server.messages
    .filter(({ topic }) => topic.endsWith('/telemetry'))
    .map(({ payload }) => telemetryBatchSchema.parse(JSON.parse(payload)));

/** What a server that takes each number once has. */
function taken(): { numbers: number[]; times: Map<number, string> } {
  const times = new Map<number, string>();
  for (const { samples } of batches()) for (const { sequence = 0, at } of samples) times.set(sequence, times.get(sequence) ?? at);
  return { numbers: [...times.keys()].toSorted((a, b) => a - b), times };
}

const until = (what: string, isIt: () => boolean, timeoutMs = 30_000) => waitUntil(() => isIt(), { timeoutMs, what });

describe('what an agent keeps to be sent', () => {
  it('goes out again under the same numbers when the agent is killed before the server has said that it has it', async () => {
    await rig.join();
    const { broker } = rig.server;
    const acknowledge = broker.published;
    let isHeld = true;
    // Without the end of this, no acknowledgement goes out.
    broker.published = (packet, client, done) => {
      if (!(isHeld && packet.topic.endsWith('/telemetry'))) acknowledge.call(broker, packet, client, done);
    };
    const agent = rig.run({}, FAST);
    await until('a batch', () => batches().some(({ samples }) => samples.length > 0));
    agent.kill('SIGKILL');
    await exited(agent);
    const before = batches();
    const sent = new Map(before.flatMap(({ samples }) => samples.map(({ sequence, at }) => [sequence, at])));
    isHeld = false;
    rig.run({}, FAST);
    const again = () => batches().slice(before.length);
    await until('later batches', () => again().flatMap(({ samples }) => samples).length > sent.size + 2);
    const first = new Map(again().flatMap(({ samples }) => samples.map(({ sequence, at }) => [sequence, at])));
    for (const [sequence, at] of sent) expect(first.get(sequence)).toBe(at);
    expect(new Set(batches().map(({ spool }) => spool?.id)).size).toBe(1);
    const { numbers } = taken();
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    // Nothing that was acknowledged comes again.
    const settled: SequenceRange[] = [];
    for (const { samples, spool } of again()) {
      expect(samples.some(({ sequence = 0 }) => hasNumber(settled, sequence))).toBe(false);
      if (spool !== undefined) settled.push(spool);
    }
  }, 90_000);

  it('is delivered after a restart without network, the newest first, with what models answered', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    const online = rig.run({}, FAST);
    const { port } = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    await until('a batch', () => batches().length > 0);
    await rig.server.close();
    online.kill('SIGKILL');
    await exited(online);
    const startedMs = performance.now();
    const offline = rig.run({}, FAST);
    const answer = await waitUntil(() => inferAt(port!).catch(() => undefined), { timeoutMs: 15_000, what: 'the model to be served' });
    console.info(`served ${Math.round(performance.now() - startedMs)} ms after the start of the agent, without network`);
    expect(answer.version).toBe('1');
    await inferAt(port!);
    const spoolOf = async () => (await readStatus(rig.dir)).spool;
    await waitUntil(async () => (await spoolOf()).waiting >= 4, { timeoutMs: 30_000, what: 'records to wait' });
    expect(formatStatus(await readStatus(rig.dir))).toMatch(/to send +\d+ waiting since /);
    offline.kill('SIGKILL');
    await exited(offline);
    const before = batches().length;
    await rig.server.listen();
    rig.run({}, FAST);
    await until('the results', () => batches().some(({ results = [] }) => results.some(({ requests }) => requests > 0)));
    const results = batches().flatMap((batch) => batch.results ?? []);
    const total = results.reduce((sum, { requests }) => sum + requests, 0);
    expect(total).toBe(2);
    expect(results[0]).toMatchObject({
      workload: 'colours',
      model: 'colours',
      version: '1',
      errors: 0,
      classes: [['green', expect.any(Number)]],
    });
    expect(results[0]?.p95Ms).toBeGreaterThan(0);
    expect(results[0]?.confidence?.reduce((sum, count) => sum + count, 0)).toBe(results[0]?.requests);
    const standing = () => batches().findLast(({ upkeep }) => upkeep !== undefined)?.upkeep?.spool;
    await until('nothing to wait', () => (standing()?.waiting ?? 9) <= 2);
    const { numbers } = taken();
    const all = new Set([...numbers, ...results.map(({ sequence = 0 }) => sequence)]);
    expect(Math.max(...all)).toBe(all.size);
    expect(batches().length).toBeGreaterThan(before);
  }, 120_000);
});

describe('budgets of an agent', () => {
  const settings = (values: object) => writeFile(join(rig.dir, 'agent.json'), JSON.stringify(values));

  it('let telemetry and downloads wait when the bytes of the day are used up; reports still go', async () => {
    await rig.join();
    await settings({ trafficMiBPerDay: 0.05 });
    const pack = makePackage({ bulkBytes: 4_000_000 });
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    const agent = rig.run({}, FAST);
    const held = await rig.server.reported('waits', (workload) => workload.held?.reason === 'budget', 'colours', 30_000);
    expect(held.held).toMatchObject({
      message: expect.stringContaining('a day is used up'),
      untilAt: expect.stringContaining('T00:00:00.000Z'),
    });
    expect(held.servingVersion).toBeNull();
    await until('a report that says so', () => rig.server.reports.at(-1)?.upkeep?.budgets?.waits?.reason === 'traffic');
    const received = rig.server.reports.at(-1)?.upkeep?.budgets?.trafficBytes ?? 0;
    expect(received).toBeGreaterThan(0.05 * 1024 * 1024);
    // A few packets that were under way at most, not the whole version.
    expect(received).toBeLessThan(2_000_000);
    agent.kill('SIGTERM');
    await exited(agent);
    expect(JSON.parse(await readFile(join(rig.dir, 'traffic.json'), 'utf8')).bytes).toBeGreaterThanOrEqual(received);
    expect(formatStatus(await readStatus(rig.dir))).toMatch(/traffic +\S+ \S+ of 51 KiB today; telemetry and downloads wait/);
    // Kept over a restart.
    const before = batches().length;
    const reports = rig.server.reports.length;
    rig.run({}, FAST);
    await until('reports after the restart', () => rig.server.reports.length > reports + 1);
    expect(batches().length).toBe(before);
    await rig.server.reported('still waits', (workload) => workload.held?.reason === 'budget');
  }, 90_000);

  it('are told by the server, hold offline after a restart, and are lifted without one', async () => {
    await rig.join();
    const pack = makePackage({ bulkBytes: 4_000_000 });
    rig.server.addPackage(pack);
    const workloads = [rig.server.workload(pack)];
    await rig.server.desire(DEVICE, workloads, { trafficMiBPerDay: 0.05, diskMiB: 500, cpuLimit: 4 });
    await settings({ diskMiB: 100 });
    const agent = rig.run({}, FAST);
    await rig.server.reported('waits', (workload) => workload.held?.reason === 'budget', 'colours', 30_000);
    await until('a report that says whose they are', () => rig.server.reports.at(-1)?.upkeep?.budgets?.waits?.reason === 'traffic');
    expect(rig.server.reports.at(-1)?.upkeep?.budgets).toMatchObject({
      diskBudgetBytes: 100 * 1024 * 1024,
      inEffect: expect.arrayContaining([
        { name: 'trafficMiBPerDay', value: 0.05, from: 'server' },
        { name: 'diskMiB', value: 100, from: 'device', other: 500 },
        { name: 'cpuLimit', value: 4, from: 'server' },
        { name: 'telemetryIntervalS', value: 1, from: 'device' },
      ]),
    });
    await rig.server.close();
    agent.kill('SIGKILL');
    await exited(agent);
    rig.run({}, FAST);
    await waitUntil(async () => (await readStatus(rig.dir)).pid !== null, { timeoutMs: 15_000, what: 'the agent to run offline' });
    expect(formatStatus(await readStatus(rig.dir))).toMatch(
      /set +.*trafficMiBPerDay 0.05 \(server\), diskMiB 100 \(device; the server says 500\)/,
    );
    await rig.server.listen();
    const reports = rig.server.reports.length;
    await until('a report of the agent that was restarted', () => rig.server.reports.length > reports);
    expect((await rig.server.reported('still waits', (workload) => workload.held?.reason === 'budget')).servingVersion).toBeNull();
    await rig.server.desire(DEVICE, workloads, { trafficMiBPerDay: 100, cpuLimit: 4 });
    await rig.server.reported('serves', (workload) => workload.state === 'serving', 'colours', 60_000);
    expect(rig.server.reports.at(-1)?.upkeep?.budgets?.inEffect).toContainEqual({ name: 'trafficMiBPerDay', value: 100, from: 'server' });
  }, 120_000);

  it('refuse a version that does not fit before it is fetched', async () => {
    await rig.join();
    await settings({ diskMiB: 2 });
    const pack = makePackage({ bulkBytes: 4_000_000 });
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run({}, FAST);
    const full = await rig.server.reported('names the budget', (workload) => workload.error?.code === 'DISK_FULL');
    expect(full.error?.message).toMatch(/needs \d\.\d MiB more, and of 2\.0 MiB for versions, spool and logs .* Nothing was fetched/);
    const asked = new Set(rig.server.blobRequests.map(({ sha256 }) => sha256).filter((sha256) => /[^0]/.test(sha256)));
    expect(asked).toEqual(new Set([rig.server.workload(pack).manifest.sha256]));
  }, 60_000);
});
