import { appendFile, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { addRange, hasNumber, type ResultSummary, type SequenceRange, type TelemetrySample } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClockReading } from '../../domain/spool-clocks.ts';
import type { SpoolBatch } from '../../ports/spool.ts';
import { DiskSpool } from './disk-spool.ts';

const MIB = 1024 * 1024;
const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 1);
const log = createLogger({ name: 'test', level: 'error', write: () => undefined });
const OLDEST = { order: 'oldest', maxRecords: 500, maxBytes: 256 * 1024 } as const;
const NEWEST = { order: 'newest', maxRecords: 5, maxBytes: 256 * 1024 } as const;

let folder: string;
let now: number;
let boot: string;
let bootedMs: number;
const reading = (): ClockReading => ({ boot, wallMs: now, uptimeMs: now - bootedMs });
const open = (budgetBytes = MIB, device = 'd1') => DiskSpool.open({ folder, device, budgetBytes, log, reading });

function sample(atMs: number, cpu = 0.25): TelemetrySample {
  return {
    at: new Date(atMs).toISOString(),
    cpu,
    memoryUsedBytes: 512 * MIB,
    memoryTotalBytes: 1024 * MIB,
    diskUsedBytes: 3_456_789_012,
    diskTotalBytes: 31_234_567_890,
    temperatureC: 51.25,
    networkRxBytes: 123_456_789,
    networkTxBytes: 98_765_432,
    agentRssBytes: 48 * MIB,
  };
}

/** A summary that grows no smaller by being put together: each is of another version. */
function bulky(atMs: number): ResultSummary {
  const counted = { requests: 1, errors: 0, p50Ms: null, p95Ms: null, latency: [], confidence: null };
  const classes = Array.from({ length: 40 }, (_, index): [string, number] => [`a class with a long name ${index}`, 1]);
  return { at: new Date(atMs).toISOString(), spanS: 300, workload: 'w', model: 'm', version: String(atMs), ...counted, classes };
}

/** Bytes that are still held when all garbage is gone: that of other tests is not ours. */
function heldHeap(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

/** As a server does: of each number once, in one go. */
class Taker {
  taken: SequenceRange[] = [];
  originals = 0;
  results = 0;
  numbers: number[] = [];
  samples: TelemetrySample[] = [];
  #spoolId: string | undefined;

  take(batch: SpoolBatch): void {
    expect(batch.spoolId).toBe(this.#spoolId ?? batch.spoolId);
    this.#spoolId = batch.spoolId;
    for (const record of batch.records) {
      if (hasNumber(this.taken, record.sequence)) continue;
      if (record.kind === 'results') {
        this.results += 1;
        continue;
      }
      this.originals += record.sample.summary?.count ?? 1;
      this.numbers.push(record.sequence);
      this.samples.push(record.sample);
    }
    this.taken = addRange(this.taken, batch);
  }

  async drain(spool: DiskSpool): Promise<void> {
    for (let batch = await spool.nextBatch(OLDEST); batch !== undefined; batch = await spool.nextBatch(OLDEST)) {
      this.take(batch);
      await spool.acknowledge(batch);
    }
  }
}

function fill(spool: DiskSpool, count: number): void {
  for (let index = 0; index < count; index += 1) {
    now += MINUTE;
    spool.append({ kind: 'sample', sample: sample(now, (index % 100) / 100) });
  }
}

/** As `fill`, and gives the disk time. */
async function fillSlowly(spool: DiskSpool, count: number): Promise<void> {
  for (let done = 0; done < count; done += 250) {
    fill(spool, Math.min(250, count - done));
    await spool.acknowledge({ spoolId: 'none', first: 0, last: 0 });
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-spool-'));
  [now, boot, bootedMs] = [START, 'boot-1', START - MINUTE];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the spool', () => {
  it('forgets what the server has by another way, and nothing for the numbers of another spool', async () => {
    const first = await open();
    fill(first, 20);
    const batch = await first.nextBatch(OLDEST);
    first.release(batch!);
    const { spoolId, last = 0 } = batch!;
    await first.acknowledge({ spoolId: 'another', first: 1, last });
    expect(first.stats().waiting).toBe(20);
    fill(first, 5);
    const newest = await first.nextBatch({ ...NEWEST, maxRecords: 3 });
    // One of them is on its way at that moment.
    await first.acknowledge({ spoolId, first: 1, last: 23 });
    expect(first.stats().waiting).toBe(2);
    await first.acknowledge(newest!, true);
    await first.acknowledge({ spoolId, first: 1, last: 23 });
    // As after a kill: nothing of the first is closed.
    const second = await open();
    fill(second, 1);
    expect((await second.nextBatch(OLDEST))?.records.map(({ sequence }) => sequence)).toEqual([26]);
    await second.close();
    await first.close();
  });

  it('gives out what it was given, the newest first or the oldest, and after a restart goes on where it was', async () => {
    const first = await open();
    fill(first, 20);
    const newest = await first.nextBatch(NEWEST);
    expect(newest?.records.map(({ sequence }) => sequence)).toEqual([16, 17, 18, 19, 20]);
    expect(newest).toMatchObject({ first: 16, last: 20, waiting: 15 });
    await first.acknowledge(newest!);
    const oldest = await first.nextBatch({ ...OLDEST, maxRecords: 3 });
    expect(oldest?.records.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    await first.close();

    const second = await open();
    expect(second.stats()).toMatchObject({ waiting: 15, oldestAt: new Date(START + MINUTE).toISOString() });
    fill(second, 1);
    const all = await second.nextBatch(OLDEST);
    expect(all).toMatchObject({ spoolId: newest!.spoolId, first: 1, last: 15 });
    expect((await second.nextBatch(OLDEST))?.records.map(({ sequence }) => sequence)).toEqual([21]);
    expect(await second.nextBatch(OLDEST)).toBeUndefined();
    second.release(all!);
    expect(await second.nextBatch(OLDEST)).toMatchObject({ first: 1, last: 15 });
    await second.close();
  });

  it('survives a torn last line, a damaged one, and the loss of what it knows of itself', async () => {
    const first = await open();
    fill(first, 3);
    await first.close();
    await appendFile(join(folder, 'active.jsonl'), '[4,"s",17],\n[5,"s",1767225');
    const second = await open();
    fill(second, 1);
    const batch = await second.nextBatch(OLDEST);
    expect(batch?.records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 5]);
    expect(batch).toMatchObject({ first: 1, last: 5 });
    await second.close();
    await writeFile(join(folder, 'meta.json'), '{');
    const third = await open();
    expect((await third.nextBatch(OLDEST))?.spoolId).not.toBe(batch?.spoolId);
    await third.close();
  });

  it('sends nothing of a device that the folder was before', async () => {
    const first = await open();
    fill(first, 3);
    await first.close();
    const second = await open(MIB, 'd2');
    expect(second.stats().waiting).toBe(0);
    expect(await second.nextBatch(OLDEST)).toBeUndefined();
    await second.close();
  });

  it('writes no more than once for samples that follow each other closely', async () => {
    const spool = await open();
    fill(spool, 1);
    await spool.nextBatch(NEWEST);
    const before = (await stat(join(folder, 'active.jsonl'))).size;
    fill(spool, 50);
    expect((await stat(join(folder, 'active.jsonl'))).size).toBe(before);
    await spool.close();
    expect((await stat(join(folder, 'active.jsonl'))).size).toBeGreaterThan(before);
  });

  it('removes what was taken', async () => {
    const spool = await open(256 * 1024);
    const taker = new Taker();
    for (let round = 0; round < 40; round += 1) {
      fill(spool, 50);
      await taker.drain(spool);
    }
    expect(taker.originals).toBe(2000);
    expect(spool.stats()).toMatchObject({ waiting: 0, aggregated: 0, dropped: 0, oldestAt: null });
    expect((await readdir(folder)).filter((name) => name.endsWith('.jsonl')).length).toBeLessThanOrEqual(2);
    await spool.close();
  });

  it.each([
    ['sent and taken', true],
    ['sent and not taken', false],
  ])('stands for each sample once when it was cut after a batch was %s, and later ran out of room', async (_, isTaken) => {
    const taker = new Taker();
    const first = await open(256 * 1024);
    fill(first, 505);
    const lost = await first.nextBatch({ ...OLDEST, maxRecords: 137 });
    if (isTaken) taker.take(lost!);
    const newest = await first.nextBatch({ ...NEWEST, maxRecords: 33 });
    taker.take(newest!);
    await first.close(); // neither was acknowledged
    const second = await open(256 * 1024);
    await fillSlowly(second, 8000);
    await taker.drain(second);
    expect(second.stats().aggregated).toBeGreaterThan(0);
    expect(taker.originals + second.stats().dropped).toBe(8505);
    expect(new Set(taker.numbers).size).toBe(taker.numbers.length);
    await second.close();
  });

  it('takes the times of a clock that was wrong by years from what is learned later', async () => {
    [now, boot, bootedMs] = [10 * MINUTE, 'boot-a', 0];
    const first = await open();
    fill(first, 1);
    await first.close();
    [now, boot, bootedMs] = [5 * MINUTE, 'boot-b', 0];
    const second = await open();
    fill(second, 1);
    const setBy = START - now;
    now += setBy; // somebody sets the clock while it runs
    bootedMs += setBy;
    fill(second, 1);
    second.learnOffset(0);
    const times = (await second.nextBatch(OLDEST))?.records.map((record) => (record.kind === 'sample' ? record.sample.at : ''));
    expect(times?.slice(1)).toEqual([START, START + MINUTE].map((ms) => new Date(ms).toISOString()));
    await second.close();
  });
});

describe('what was kept for long', () => {
  it.each([
    ['a year at one sample a minute', 16, 365, 60 * 24, 0],
    ['sixty days', 0.5, 60, 6, 0],
    ['ninety days in less than they need', 0.25, 90, 6, 1],
  ])(
    '%s: fits into %d MiB, put together where it has to be, with flat memory',
    async (_, mebibytes, days, fineSamples, leastDropped) => {
      const spool = await open(mebibytes * MIB);
      let highest = 0;
      const heaps: number[] = [];
      for (let day = 0; day < days; day += 1) {
        if (leastDropped > 0) spool.append({ kind: 'results', results: bulky(now) });
        await fillSlowly(spool, 1440);
        highest = Math.max(highest, spool.stats().usedBytes);
        if (day % 10 === 0) heaps.push(heldHeap());
      }
      expect(highest).toBeLessThanOrEqual(mebibytes * MIB);
      expect((heaps.at(-1) ?? Number.NaN) - (heaps[1] ?? Number.NaN)).toBeLessThan(8 * MIB);
      const { aggregated, dropped } = spool.stats();
      expect(aggregated).toBeGreaterThan(0);
      expect(dropped).toBeGreaterThanOrEqual(leastDropped);
      if (leastDropped === 0) expect(dropped).toBe(0);
      const taker = new Taker();
      await taker.drain(spool);
      expect(taker.originals + dropped - (leastDropped > 0 ? days - taker.results : 0)).toBe(days * 1440);
      const [oldest] = taker.samples;
      expect(oldest?.summary?.count).toBeGreaterThan(5);
      expect(oldest?.summary).toMatchObject({ min: { cpu: 0 } });
      expect(taker.samples.slice(-fineSamples).every(({ summary }) => summary === undefined)).toBe(true);
      expect(taker.samples.every(({ at }, index) => index === 0 || at >= (taker.samples[index - 1]?.at ?? ''))).toBe(true);
      await spool.close();
    },
    240_000,
  );
});
