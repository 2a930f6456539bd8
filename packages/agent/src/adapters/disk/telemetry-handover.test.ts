import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TelemetrySample } from '@selvedge/contract';
import { createLogger, pathExists, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyWaiting } from '../../services/spool-copy.ts';
import { DiskSpool } from './disk-spool.ts';
import { TelemetryHandover } from './telemetry-handover.ts';

const sample = (second: number): TelemetrySample => ({
  at: new Date(Date.parse('2026-11-01T00:00:00.000Z') + second * 1000).toISOString(),
  ...{ cpu: null, memoryUsedBytes: second, memoryTotalBytes: null, diskUsedBytes: null, diskTotalBytes: null },
  ...{ temperatureC: null, networkRxBytes: null, networkTxBytes: null, agentRssBytes: null },
});

describe('telemetry for a stick', () => {
  let dir: string;
  let spool: DiskSpool;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'selvedge-handover-'));
    const log = createLogger({ name: 'test', level: 'error' });
    spool = await DiskSpool.open({ folder: join(dir, 'spool'), device: 'edge-1', budgetBytes: 1024 * 1024, log });
  });
  afterEach(async () => {
    await spool.close();
    await rm(dir, { recursive: true, force: true });
  });

  it('is handed over by the agent whole, and stays with it under the same numbers', async () => {
    for (let second = 0; second < 800; second += 1) spool.append({ kind: 'sample', sample: sample(second) });
    const handover = new TelemetryHandover(dir);
    const asking = handover.ask();
    await waitUntil(() => pathExists(join(dir, '.telemetry-request')), { timeoutMs: 30_000, what: 'the request' });
    await handover.answer((take) => copyWaiting(spool, take));
    const batches = (await asking) ?? [];
    const samples = batches.flatMap((batch) => batch.samples);
    expect(samples.map(({ memoryUsedBytes }) => memoryUsedBytes)).toEqual(Array.from({ length: 800 }, (_, second) => second));
    expect((await readdir(dir)).filter((name) => name.startsWith('.telemetry'))).toEqual([]);
    const sent = await spool.nextBatch({ order: 'oldest', maxRecords: 1000, maxBytes: 1024 * 1024 });
    expect(sent?.records.map(({ sequence }) => sequence)).toEqual(samples.slice(0, sent?.records.length).map(({ sequence }) => sequence));
    expect(sent?.spoolId).toBe(batches[0]?.spool?.id);
  });

  it('is not written when nobody has asked', async () => {
    await new TelemetryHandover(dir).answer(() => expect.unreachable('nobody has asked'));
    expect((await readdir(dir)).sort()).toEqual(['spool']);
  });
});
