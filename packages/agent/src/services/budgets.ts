import type { BudgetInEffect, BudgetStanding } from '@selvedge/contract';

export interface Limits {
  /** In a day; null: none. */
  trafficBytes: number | null;
  diskBytes: number | null;
  /** Of each model process. */
  memoryBytes: number | null;
  cpus: number | null;
  /** What was kept is not sent over a metered link. */
  deferKept: boolean;
  /** By whom what is set. */
  inEffect: BudgetInEffect[];
}

/** What is counted in a day of UTC. */
export interface DayCount {
  day: string;
  bytes: number;
}

export interface BudgetsOptions {
  limits: Limits;
  /** Of connections since the last call. */
  takeBytes: () => number;
  /** As it was kept. */
  counted: DayCount | undefined;
  keep: (count: DayCount) => Promise<void>;
  isMetered: () => Promise<boolean>;
  /** The system says that the link is not metered; false where it says nothing. */
  isUnmetered: () => Promise<boolean>;
  /** What the agent's files take. */
  diskBytes: () => Promise<number | null>;
  /** The server's time, Unix milliseconds. */
  clock: () => number;
  /** Why what is not urgent waits has changed. */
  onChange: () => void;
}

export type Wait = NonNullable<BudgetStanding['waits']>;

const DAY_MS = 86_400_000;
/** A link is asked so often whether it is metered, and files are counted so often. */
const ASK_EVERY_MS = 60_000;
const DISK_EVERY_MS = 600_000;
/** Counts are kept when so much has come together, or so long ago. */
const KEEP_BYTES = 256 * 1024;
const KEEP_EVERY_MS = 1_800_000;

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Text of a number of bytes. */
export function describeBytes(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/**
 * What the agent may use of the device, and uses. When the bytes of a day are used up, what is not urgent (telemetry, downloads) waits until
 * the next, or until the system says that the link is not metered; commands and reports never wait.
 */
export class Budgets {
  readonly #options: BudgetsOptions;
  #limits: Limits;
  #count: DayCount;
  #kept: { bytes: number; atMs: number };
  #link: { metered: boolean; unmetered: boolean } | undefined;
  #linkAtMs = Number.NEGATIVE_INFINITY;
  #disk: number | null = null;
  #diskAtMs = Number.NEGATIVE_INFINITY;
  #wait: Wait | null = null;

  constructor(options: BudgetsOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#count = options.counted ?? { day: dayOf(options.clock()), bytes: 0 };
    this.#kept = { bytes: this.#count.bytes, atMs: performance.now() };
  }

  get limits(): Limits {
    return this.#limits;
  }

  /** From now on others hold; the bytes of the day stay counted. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
    // Whether the link is metered may be among what was changed.
    this.#link = undefined;
    if (!this.isUsedUp && this.#wait?.reason === 'traffic') this.#note(null);
  }

  /** Whether the bytes of this day are used up. */
  get isUsedUp(): boolean {
    const { trafficBytes } = this.#limits;
    return trafficBytes !== null && this.#today().bytes >= trafficBytes;
  }

  /** Why telemetry waits; null: it does not. */
  async waitOf(what: 'new' | 'kept'): Promise<Wait | null> {
    const traffic = await this.trafficWait();
    const isDeferred = traffic === null && what === 'kept' && this.#limits.deferKept && (await this.#askLink()).metered;
    const message = 'The link is metered: what was kept is sent over another one.';
    const wait: Wait | null = isDeferred ? { reason: 'metered', message, untilAt: null } : traffic;
    if (what === 'kept' || traffic !== null) this.#note(wait);
    return wait;
  }

  /** Why nothing is to be fetched; null: it may be. */
  async trafficWait(): Promise<Wait | null> {
    if (!this.isUsedUp || (await this.#askLink()).unmetered) {
      if (this.#wait?.reason === 'traffic') this.#note(null);
      return null;
    }
    const { clock } = this.#options;
    const used = describeBytes(this.#today().bytes);
    const untilMs = (Math.floor(clock() / DAY_MS) + 1) * DAY_MS;
    const message = `The budget of ${describeBytes(this.#limits.trafficBytes ?? 0)} a day is used up (${used}).`;
    const wait: Wait = { reason: 'traffic', message, untilAt: new Date(untilMs).toISOString() };
    this.#note(wait);
    return wait;
  }

  async isMetered(): Promise<boolean> {
    return (await this.#askLink()).metered;
  }

  async standing(): Promise<BudgetStanding> {
    if (performance.now() - this.#diskAtMs > DISK_EVERY_MS) {
      this.#diskAtMs = performance.now();
      this.#disk = await this.#options.diskBytes();
    }
    return this.known();
  }

  /** As far as it is known without looking. */
  known(): BudgetStanding {
    const { trafficBytes, diskBytes, memoryBytes, cpus, inEffect } = this.#limits;
    return {
      trafficBytes: this.#today().bytes,
      trafficBudgetBytes: trafficBytes,
      diskBytes: this.#disk,
      diskBudgetBytes: diskBytes,
      memoryLimitBytes: memoryBytes,
      cpuLimit: cpus,
      waits: this.#wait,
      inEffect,
    };
  }

  /** Keeps the count when it is worth a write. */
  async save(always = false): Promise<void> {
    const { bytes } = this.#today();
    const isDue = Math.abs(bytes - this.#kept.bytes) >= KEEP_BYTES || performance.now() - this.#kept.atMs > KEEP_EVERY_MS;
    if (!isDue && !always) return;
    this.#kept = { bytes, atMs: performance.now() };
    await this.#options.keep(this.#count);
  }

  #today(): DayCount {
    const day = dayOf(this.#options.clock());
    const more = this.#options.takeBytes();
    this.#count = this.#count.day === day ? { day, bytes: this.#count.bytes + more } : { day, bytes: more };
    return this.#count;
  }

  async #askLink(): Promise<{ metered: boolean; unmetered: boolean }> {
    if (this.#link === undefined || performance.now() - this.#linkAtMs > ASK_EVERY_MS) {
      this.#linkAtMs = performance.now();
      const [metered, unmetered] = await Promise.all([this.#options.isMetered(), this.#options.isUnmetered()]);
      this.#link = { metered, unmetered };
    }
    return this.#link;
  }

  #note(wait: Wait | null): void {
    const isSame = this.#wait?.reason === wait?.reason && this.#wait?.untilAt === wait?.untilAt;
    this.#wait = wait;
    if (!isSame) this.#options.onChange();
  }
}
