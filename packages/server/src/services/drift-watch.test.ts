import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device, DriftSpec, ResultSummary } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../adapters/sql/open-store.ts';
import type { Store } from '../ports/store.ts';
import { DriftWatch } from './drift-watch.ts';

const HOUR_MS = 3_600_000;
const BEGIN_MS = Date.parse('2026-01-01T00:00:00.000Z');
const SURE = [0, 0, 0, 0, 0, 0, 0, 0, 10, 90];
const UNSURE = [0, 0, 0, 30, 30, 30, 10, 0, 0, 0];
const DRIFT: DriftSpec = { inferenceModel: 'reader', windowS: 3600 };
const log = createLogger({ name: 'test', write: () => undefined });

let folder: string;
let store: Store;
let nowMs: number;
let watch: DriftWatch;
let cursor: string | null;
let sequence: number;

/** What is in the store survives; what was in memory does not. */
async function restart(): Promise<void> {
  await store?.close();
  store = await openStore({ file: join(folder, 'db.sqlite'), announce: () => undefined, log });
  watch = new DriftWatch({ store, clock: () => new Date(nowMs) });
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drift-'));
  [nowMs, cursor, sequence] = [BEGIN_MS, null, 0];
  await restart();
  for (const site of ['north', 'south']) await addDevice(site);
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

async function addDevice(site: string): Promise<void> {
  const joinedAt = new Date(BEGIN_MS).toISOString();
  const certificate = { serial: '1', fingerprint256: 'a', notAfter: joinedAt };
  const workload = { name: 'reader', model: 'digits', desiredVersion: '3', servingVersion: '3', previousVersion: null } as const;
  const running = { state: 'serving', port: 1, progress: null, error: null, restarts: 0, servingSince: null } as const;
  const status: Device['status'] = {
    ...{ online: true, lastSeenAt: null, joinedAt, certificate, info: null, telemetry: null, conflict: null, observedRevision: 1 },
    workloads: [{ ...workload, ...running }],
  };
  await store.create('Device', { name: site, labels: { site }, annotations: {}, spec: {}, status });
}

/** A device answers for so many hours from one on, 100 answers each ten minutes. */
async function answers(device: string, fromHour: number, hours: number, confidence: number[], version = '3'): Promise<void> {
  const results = Array.from({ length: hours * 6 }, (_, at): ResultSummary & { sequence: number } => {
    sequence += 1;
    const counts = { requests: 100, errors: 0, p50Ms: 1, p95Ms: 2, latency: [], confidence };
    const atIso = new Date(BEGIN_MS + fromHour * HOUR_MS + at * 600_000).toISOString();
    return { at: atIso, spanS: 600, workload: 'reader', model: 'digits', version, ...counts, sequence };
  });
  const spool = { id: 's', first: results[0]?.sequence ?? 1, last: sequence };
  await store.appendTelemetry(device, { samples: [], results, spool });
}

async function lookAt(hour: number, spec: DriftSpec = DRIFT): Promise<string | null> {
  nowMs = BEGIN_MS + hour * HOUR_MS;
  const look = await watch.look('pipe/drift', spec, cursor, new AbortController().signal);
  if (look !== undefined) cursor = look.cursor;
  return look?.event ?? null;
}

describe('DriftWatch', () => {
  it('fires when answers have moved from the first ones of the version, with the numbers, once per cooldown', async () => {
    for (const device of ['north', 'south']) await answers(device, 0, 4, SURE);
    expect(await lookAt(1)).toBeNull(); // the reference is not whole
    expect(await lookAt(3)).toBeNull(); // as before
    for (const device of ['north', 'south']) await answers(device, 4, 3, UNSURE);
    expect(await lookAt(5)).toMatch(
      /^drift of digits:3 in "reader": confidences psi \d+\.\d+ above 0\.2 \(1200 samples against 1200\); 2026-01-01T04:00:00.000Z to 2026-01-01T05:00:00.000Z, 2 devices, against 2026-01-01T00:00:00.000Z to 2026-01-01T01:00:00.000Z, 2 devices$/,
    );
    expect(await lookAt(5.5)).toBeNull();
    await restart();
    expect(await lookAt(5.9)).toBeNull();
    expect(await lookAt(6)).toMatch(/^drift of digits:3/);
  });

  it('keeps the first window of a version for longer than its results are kept', async () => {
    await answers('north', 0, 3, SURE);
    expect(await lookAt(2.5)).toBeNull();
    await store.pruneTelemetry(new Date(BEGIN_MS + 900 * HOUR_MS).toISOString(), new Date(BEGIN_MS + 900 * HOUR_MS).toISOString());
    await restart();
    await answers('north', 1000, 2, UNSURE);
    expect(await lookAt(1001)).toContain('against 2026-01-01T00:00:00.000Z to');
  });

  it('takes the window before for the reference when told so', async () => {
    const spec: DriftSpec = { ...DRIFT, reference: 'before' };
    await answers('north', 0, 2, SURE);
    await answers('north', 2, 2, UNSURE);
    expect(await lookAt(2, spec)).toBeNull();
    expect(await lookAt(3, spec)).toContain('against 2026-01-01T01:00:00.000Z to 2026-01-01T02:00:00.000Z');
    expect(await lookAt(4.5, spec)).toBeNull(); // by now it was like that before
  });

  it('looks at the selected devices only, and at those of a group', async () => {
    await answers('north', 0, 4, SURE);
    await answers('south', 0, 3, SURE);
    await answers('south', 3, 1, UNSURE);
    expect(await lookAt(4, { ...DRIFT, selector: 'site=north' })).toBeNull();
    await store.create('DeviceGroup', { name: 'far', labels: {}, annotations: {}, spec: { selector: 'site=south' }, status: {} });
    expect(await lookAt(4, { ...DRIFT, selector: '@far' })).toContain('1 device,');
  });

  it('begins anew with another version, and does not judge by too few answers', async () => {
    await answers('north', 0, 3, SURE);
    expect(await lookAt(3)).toBeNull();
    await answers('north', 3, 2, UNSURE, '4');
    expect(await lookAt(4)).toBeNull();
    expect(await lookAt(5)).toBeNull();
    await answers('north', 5, 1, SURE, '4');
    expect(await lookAt(6)).toContain('drift of digits:4');
    expect(await lookAt(8, { ...DRIFT, minSamples: 100_000 })).toBeNull();
  });

  it('waits for enough answers of a version that gives few at first', async () => {
    await answers('north', 0, 1, [0, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
    await answers('north', 1, 3, SURE);
    expect(await lookAt(2)).toBeNull();
    await answers('north', 4, 1, UNSURE);
    expect(await lookAt(5)).toContain('against 2026-01-01T00:00:00.000Z to 2026-01-01T02:00:00.000Z');
  });

  it('looks again in a minute when it could not', async () => {
    const look = () => watch.look('pipe/drift', { ...DRIFT, selector: '@nobody', windowS: 86_400 }, null, new AbortController().signal);
    await expect(look()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await look()).toBeUndefined();
    nowMs += 60_000;
    await expect(look()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('looks no more often than a window moves', async () => {
    expect(await watch.look('pipe/drift', DRIFT, null, new AbortController().signal)).toEqual({ cursor: null, event: null });
    nowMs += 140_000;
    expect(await watch.look('pipe/drift', DRIFT, null, new AbortController().signal)).toBeUndefined();
    nowMs += 20_000;
    expect(await watch.look('pipe/drift', DRIFT, null, new AbortController().signal)).toBeDefined();
  });
});
