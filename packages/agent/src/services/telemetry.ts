import { DEVICE_CHANNEL_VERSION, type TelemetryBatch, type Upkeep } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { Sensors } from '../ports/sensors.ts';
import type { BatchWish, Spool, SpoolBatch } from '../ports/spool.ts';

export interface TelemetryIntervals {
  /** Between samples, milliseconds. */
  intervalMs: number;
  /** Between batches, milliseconds. */
  batchMs: number;
}

export interface TelemetryOptions extends TelemetryIntervals {
  sensors: Sensors;
  channel: DeviceChannel;
  spool: Spool;
  /** What models answered since the last look goes to the spool. */
  lookAtResults: () => Promise<void>;
  /** Whether telemetry has to wait: what is new, or what was kept. */
  mustWait: (what: 'new' | 'kept') => Promise<boolean>;
  /** Goes along with batches now and then. */
  upkeep: () => Promise<Upkeep>;
  /** This machine's, which may be set: for the times of samples. */
  clock: () => number;
  /** 0..1. */
  random: () => number;
  log: Logger;
}

/** Enough for what is new; what is more was kept, and waits for its turn. */
const NEW: BatchWish = { order: 'newest', maxRecords: 100, maxBytes: 64 * 1024 };
const KEPT: BatchWish = { order: 'oldest', maxRecords: 200, maxBytes: 64 * 1024 };
/** A fleet that is back at once begins to catch up within this time. */
const FIRST_KEPT_MS = 30_000;
const BETWEEN_KEPT_MS = 2000;
/** The share of its time that the server is to spend with one device's backlog: the longer it takes, the longer it is left alone. */
const REST_PER_WORK = 4;
const LOOK_AGAIN_MS = 60_000;
/** A budget of 1 MB a day has no room for more. */
const UPKEEP_EVERY_MS = 1_800_000;

/**
 * Samples the device at a steady pace, and sends what the spool has: what is new in batches, what was kept while there was no connection
 * bit by bit beside it.
 */
export class Telemetry {
  readonly #options: TelemetryOptions;
  #intervals: TelemetryIntervals;
  #timer: NodeJS.Timeout | undefined;
  #keptTimer: NodeJS.Timeout | undefined;
  #lastSampleMs = Number.NEGATIVE_INFINITY;
  #lastBatchMs = Number.NEGATIVE_INFINITY;
  #sending = false;
  #sendingKept = false;
  #stopped = false;
  /** Records that the last batch has left. */
  #waiting = 0;
  #upkeepAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    this.#intervals = options;
  }

  async start(): Promise<void> {
    await this.#options.sensors.sample(new Date(this.#options.clock())); // so that the first sample has a cpu share
    this.#measure();
  }

  /** Measures and sends at another pace from now on. */
  setIntervals({ intervalMs, batchMs }: TelemetryIntervals): void {
    const isOther = intervalMs !== this.#intervals.intervalMs;
    this.#intervals = { intervalMs, batchMs };
    if (isOther && this.#timer !== undefined) this.#measure();
  }

  #measure(): void {
    clearInterval(this.#timer);
    this.#timer = this.#stopped ? undefined : setInterval(() => void this.#tick(), this.#intervals.intervalMs);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    clearTimeout(this.#keptTimer);
  }

  /** Sends a fresh sample: the server need not wait for the next batch to know the device. What was kept follows later. */
  async connected(): Promise<void> {
    // A connection that comes and goes must not fill the spool.
    if (performance.now() - this.#lastSampleMs >= Math.min(this.#intervals.intervalMs, 5000)) await this.#sample();
    await this.#sendNew();
    this.#scheduleKept(Math.min(FIRST_KEPT_MS, this.#intervals.batchMs) * this.#options.random());
  }

  async #tick(): Promise<void> {
    await this.#sample();
    try {
      await this.#options.lookAtResults();
    } catch (error) {
      this.#options.log.debug('results could not be read', describeError(error));
    }
    // Half an interval of slack, so that a late timer does not put a batch off by a whole one.
    if (performance.now() - this.#lastBatchMs >= this.#intervals.batchMs - this.#intervals.intervalMs / 2) await this.#sendNew();
  }

  async #sample(): Promise<void> {
    try {
      this.#options.spool.append({ kind: 'sample', sample: await this.#options.sensors.sample(new Date(this.#options.clock())) });
      this.#lastSampleMs = performance.now();
    } catch (error) {
      this.#options.log.warn('no telemetry sample', describeError(error));
    }
  }

  async #sendNew(): Promise<void> {
    const { channel, mustWait } = this.#options;
    if (!channel.connected || this.#sending || this.#stopped) return;
    this.#sending = true;
    this.#lastBatchMs = performance.now();
    try {
      if (!(await mustWait('new')) && (await this.#send(NEW)) && this.#waiting > 0 && this.#keptTimer === undefined)
        this.#scheduleKept(BETWEEN_KEPT_MS);
    } finally {
      this.#sending = false;
    }
  }

  #scheduleKept(delayMs: number): void {
    if (this.#stopped || this.#sendingKept) return;
    clearTimeout(this.#keptTimer);
    this.#keptTimer = setTimeout(() => {
      this.#keptTimer = undefined;
      void this.#sendKept();
    }, delayMs);
  }

  /** One batch of what was kept, and again after a rest, as long as there is something and a connection. */
  async #sendKept(): Promise<void> {
    const { channel, mustWait, random } = this.#options;
    if (!channel.connected || this.#sendingKept) return;
    this.#sendingKept = true;
    let restMs: number | undefined;
    try {
      const startedMs = performance.now();
      if (await mustWait('kept')) restMs = LOOK_AGAIN_MS;
      else if (await this.#send(KEPT)) restMs = BETWEEN_KEPT_MS + REST_PER_WORK * (performance.now() - startedMs);
    } finally {
      this.#sendingKept = false;
    }
    if (restMs !== undefined) this.#scheduleKept(restMs * (0.5 + random()));
  }

  /** @returns whether there was something to send, and the server has it. */
  async #send(wish: BatchWish): Promise<boolean> {
    const { channel, spool, log } = this.#options;
    let batch: SpoolBatch | undefined;
    try {
      batch = await spool.nextBatch(wish);
      if (batch === undefined) return false;
      this.#waiting = batch.waiting;
      await channel.publish('telemetry', messageOf(batch, await this.#upkeep(wish === KEPT)));
      await spool.acknowledge(batch);
      return true;
    } catch (error) {
      if (batch !== undefined) spool.release(batch);
      log.debug('a telemetry batch was not sent', describeError(error));
      return false;
    }
  }

  /** @param isMoving - what waits becomes less: that is to be seen. */
  async #upkeep(isMoving: boolean): Promise<Upkeep | undefined> {
    const upkeep = await this.#options.upkeep();
    const now = performance.now();
    if (!isMoving && now - this.#upkeepAtMs < Math.min(UPKEEP_EVERY_MS, this.#intervals.batchMs * 6)) return undefined;
    this.#upkeepAtMs = isMoving ? Number.NEGATIVE_INFINITY : now;
    return upkeep;
  }
}

/** A batch as it is sent. */
export function messageOf({ spoolId, first, last, waiting, records }: SpoolBatch, upkeep?: Upkeep): TelemetryBatch {
  const samples = records.flatMap((record) => (record.kind === 'sample' ? [{ sequence: record.sequence, ...record.sample }] : []));
  const results = records.flatMap((record) => (record.kind === 'results' ? [{ sequence: record.sequence, ...record.results }] : []));
  return {
    v: DEVICE_CHANNEL_VERSION,
    samples,
    ...(results.length === 0 ? {} : { results }),
    spool: { id: spoolId, first, last, waiting },
    ...(upkeep === undefined ? {} : { upkeep }),
  };
}
