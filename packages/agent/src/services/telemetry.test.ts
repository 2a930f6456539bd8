import type { TelemetryBatch, TelemetrySample } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Spool, SpoolBatch, SpoolEntry, SpoolRecord } from '../ports/spool.ts';
import { Telemetry, type TelemetryOptions } from './telemetry.ts';

const MINUTE = 60_000;
const values = { cpu: 0.5, memoryUsedBytes: 1, memoryTotalBytes: 2, diskUsedBytes: 3, diskTotalBytes: 4, temperatureC: null };
const sample = (at: Date): TelemetrySample => ({ at: at.toISOString(), ...values, networkRxBytes: 5, networkTxBytes: 6, agentRssBytes: 7 });

/** In memory; batches of at most so many, whatever is wished. */
class FakeSpool implements Spool {
  records: SpoolRecord[] = [];
  readonly #most: number;
  #next = 1;
  #highest = 0;
  #out = new Set<number>();

  constructor(most: number) {
    this.#most = most;
  }

  append(entry: SpoolEntry): void {
    this.records.push({ ...entry, sequence: this.#next });
    this.#next += 1;
  }

  async nextBatch({ order, maxRecords }: Parameters<Spool['nextBatch']>[0]): Promise<SpoolBatch | undefined> {
    const free = this.records.filter(({ sequence }) => !this.#out.has(sequence) && (order === 'oldest' || sequence > this.#highest));
    const count = Math.min(maxRecords, this.#most);
    const records = order === 'newest' ? free.slice(-count) : free.slice(0, count);
    const [first, last] = [records[0]?.sequence, records.at(-1)?.sequence];
    if (first === undefined || last === undefined) return undefined;
    for (const { sequence } of records) this.#out.add(sequence);
    this.#highest = Math.max(this.#highest, last);
    return { spoolId: 's', first, last, records, waiting: this.records.filter(({ sequence }) => !this.#out.has(sequence)).length };
  }

  async acknowledge({ first, last }: Parameters<Spool['acknowledge']>[0]): Promise<void> {
    this.records = this.records.filter(({ sequence }) => sequence < first || sequence > last);
  }

  release({ first, last }: Parameters<Spool['release']>[0]): void {
    for (const sequence of [...this.#out]) if (sequence >= first && sequence <= last) this.#out.delete(sequence);
  }

  learnOffset(): void {}

  stats() {
    return { usedBytes: 0, budgetBytes: 1, waiting: this.records.length, oldestAt: null, aggregated: 0, dropped: 0 };
  }

  async close(): Promise<void> {}
}

interface Sent {
  atMs: number;
  batch: TelemetryBatch;
}

function setUp(options: Partial<TelemetryOptions> & { kept?: number; publishMs?: number } = {}) {
  const { kept = 0, publishMs = 0, ...more } = options;
  const spool = new FakeSpool(10);
  const sent: Sent[] = [];
  const channel = {
    connected: true,
    publish: async (_topic: string, message: unknown) => {
      sent.push({ atMs: Date.now(), batch: message as TelemetryBatch });
      if (publishMs > 0) await new Promise((resolve) => setTimeout(resolve, publishMs));
      if (!channel.connected) throw new Error('the connection was closed');
    },
  };
  for (let index = 0; index < kept; index += 1) spool.append({ kind: 'sample', sample: sample(new Date(index * MINUTE)) });
  const telemetry = new Telemetry({
    sensors: { sample: async (at) => sample(at), temperatureC: async () => null, describe: () => Promise.reject() as never },
    channel,
    spool,
    intervalMs: MINUTE,
    batchMs: 5 * MINUTE,
    lookAtResults: async () => undefined,
    mustWait: async () => false,
    upkeep: async () => ({}),
    clock: () => Date.now(),
    random: () => 0.5,
    log: createLogger({ name: 'test', level: 'error', write: () => undefined }),
    ...more,
  });
  const numbers = () => sent.map(({ batch }) => batch.samples.map(({ sequence }) => sequence));
  return { telemetry, spool, sent, channel, numbers };
}

describe('telemetry', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }));
  afterEach(() => void vi.useRealTimers());

  it('sends what is new first, and what was kept bit by bit beside it', async () => {
    const { telemetry, numbers, sent, spool } = setUp({ kept: 25 });
    await telemetry.start();
    await telemetry.connected();
    expect(numbers()).toEqual([[17, 18, 19, 20, 21, 22, 23, 24, 25, 26]]);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(sent).toHaveLength(1); // the others of the fleet are back as well
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(numbers().slice(1)).toEqual([
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      [11, 12, 13, 14, 15, 16],
    ]);
    await vi.advanceTimersByTimeAsync(4 * MINUTE);
    expect(numbers().at(-1)).toEqual([27, 28, 29, 30, 31]);
    expect(spool.records.length).toBeLessThan(2);
    telemetry.stop();
  });

  it('leaves a server that takes long alone for longer', async () => {
    const { telemetry, sent } = setUp({ kept: 200, publishMs: 5000 });
    await telemetry.start();
    void telemetry.connected();
    await vi.advanceTimersByTimeAsync(4 * MINUTE);
    const kept = sent.filter(({ batch }) => (batch.spool?.first ?? 999) < 150).map(({ atMs }) => atMs);
    const pauses = kept.slice(1).map((atMs, index) => atMs - (kept[index] ?? 0));
    expect(pauses.length).toBeGreaterThan(3);
    // 5 s for the server, and four times as long without.
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(25_000);
    telemetry.stop();
  });

  it('spreads the first batches of a fleet over half a minute', async () => {
    const begins: number[] = [];
    for (let device = 0; device < 50; device += 1) {
      const { telemetry, sent } = setUp({ kept: 25, random: Math.random });
      await telemetry.start();
      const startedMs = Date.now();
      await telemetry.connected();
      await vi.advanceTimersByTimeAsync(30_000);
      begins.push((sent[1]?.atMs ?? Number.NaN) - startedMs);
      telemetry.stop();
    }
    for (const quarter of [0, 1, 2, 3]) expect(begins.filter((ms) => Math.floor(ms / 7500) === quarter).length).toBeGreaterThan(2);
  });

  it('keeps what has to wait, and what could not be sent', async () => {
    let wait = true;
    const { telemetry, sent, spool, channel } = setUp({ kept: 25, mustWait: async (what) => wait && what === 'kept' });
    await telemetry.start();
    await telemetry.connected();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(sent.every(({ batch }) => (batch.spool?.first ?? 0) > 16)).toBe(true);
    wait = false;
    await vi.advanceTimersByTimeAsync(3 * MINUTE);
    expect(sent.some(({ batch }) => batch.spool?.first === 1)).toBe(true);
    channel.connected = false;
    await vi.advanceTimersByTimeAsync(30 * MINUTE);
    expect(spool.records.length).toBeGreaterThanOrEqual(30);
    telemetry.stop();
  });
});
