import { type Device, type DriftSpec, type ResultSummary, type SettledDrift, settleDrift } from '@selvedge/contract';
import {
  type Distribution,
  type DriftCursor,
  driftCursor,
  driftEvent,
  isCooling,
  isReference,
  ResultPool,
  withFired,
} from '../domain/drift.ts';
import type { Look } from '../domain/trigger-plan.ts';
import type { Store } from '../ports/store.ts';
import { listSelected, readSelection } from './label-selection.ts';

/** A window moves on by this share of itself between looks: reading what a fleet has answered in a day is not free. */
const LOOKS_PER_WINDOW = 24;
const MOST_BETWEEN_LOOKS_MS = 3_600_000;
const AFTER_FAILURE_MS = 60_000;
/** Versions of one InferenceModel that may be at work at one time. */
const MAX_VERSIONS = 50;
const EVER_ISO = new Date(0).toISOString();

export interface DriftWatchOptions {
  store: Store;
  clock: () => Date;
}

/** A look under way. */
type Looking = SettledDrift & { signal: AbortSignal };

interface Version {
  model: string;
  version: string;
}

/**
 * Looks whether what devices answer has moved. The first window of a version is kept with where watching stands, so that it
 * outlives the results that it is made of; it is taken once a window lies behind it, so that devices which were away have said theirs.
 */
export class DriftWatch {
  readonly #options: DriftWatchOptions;
  /** When each trigger was looked at last, and as what. */
  readonly #looked = new Map<string, { as: string; atMs: number }>();

  constructor(options: DriftWatchOptions) {
    this.#options = options;
  }

  /**
   * @param trigger - names it among all.
   * @returns undefined while it is not time to look again.
   */
  async look(trigger: string, spec: DriftSpec, stored: string | null, signal: AbortSignal): Promise<Look | undefined> {
    const settled = { ...settleDrift(spec), signal };
    const now = this.#options.clock();
    if (!this.#isTime(trigger, settled, now.getTime())) return undefined;
    try {
      return await this.#lookNow(settled, stored, now);
    } catch (error) {
      this.#againSoon(trigger, settled, now.getTime());
      throw error;
    }
  }

  async #lookNow(settled: Looking, stored: string | null, now: Date): Promise<Look> {
    const sinceIso = new Date(now.getTime() - settled.windowS * 1000).toISOString();
    const busiest = await this.#busiest(settled, sinceIso, now.toISOString());
    if (busiest === undefined) return { cursor: stored, event: null };
    const version = `${busiest.model}:${busiest.version}`;
    const cursor = driftCursor(stored, settled, version);
    if (isCooling(cursor, settled, now.getTime())) return { cursor: JSON.stringify(cursor), event: null };
    const found = await this.#reference(settled, cursor, busiest, now.getTime());
    if (found.reference === null) return { cursor: JSON.stringify(found.cursor), event: null };
    const current = busiest.pool.distribution(sinceIso, now.toISOString(), found.reference);
    const event = driftEvent(version, found.reference, current, settled);
    const moved = event === null ? found.cursor : withFired(found.cursor, now.toISOString());
    return { cursor: JSON.stringify(moved), event: event?.detail ?? null };
  }

  /** Neither once a second, with an error in the log each time, nor in an hour only. */
  #againSoon(trigger: string, settled: Looking, nowMs: number): void {
    const last = this.#looked.get(trigger);
    if (last !== undefined) last.atMs = nowMs - Math.max(0, betweenLooksMs(settled) - AFTER_FAILURE_MS);
  }

  #isTime(trigger: string, { signal: _, ...settled }: Looking, nowMs: number): boolean {
    const betweenMs = betweenLooksMs(settled);
    const as = JSON.stringify(settled);
    const last = this.#looked.get(trigger);
    // A clock that was set back must not stop it.
    if (last?.as === as && Math.abs(nowMs - last.atMs) < betweenMs) return false;
    this.#looked.set(trigger, { as, atMs: nowMs });
    return true;
  }

  /** The version that gave most answers in the window. */
  async #busiest(settled: Looking, sinceIso: string, untilIso: string): Promise<(Version & { pool: ResultPool }) | undefined> {
    const pools = new Map<string, Version & { pool: ResultPool }>();
    await this.#each(settled, { sinceIso, untilIso }, (device, summary) => {
      const name = `${summary.model}:${summary.version}`;
      const known = pools.get(name) ?? { model: summary.model, version: summary.version, pool: new ResultPool() };
      if (pools.size < MAX_VERSIONS) pools.set(name, known);
      known.pool.add(device, summary);
    });
    return [...pools.values()].reduce<(Version & { pool: ResultPool }) | undefined>(
      (most, one) => (one.pool.samples > (most?.pool.samples ?? 0) ? one : most),
      undefined,
    );
  }

  async #reference(
    settled: Looking,
    cursor: DriftCursor,
    version: Version,
    nowMs: number,
  ): Promise<{ cursor: DriftCursor; reference: Distribution | null }> {
    const [windowMs, referenceMs] = [settled.windowS * 1000, settled.referenceS * 1000];
    if (settled.reference === 'before') {
      const reference = await this.#pooled(settled, version, nowMs - windowMs - referenceMs, nowMs - windowMs);
      return { cursor, reference };
    }
    if (cursor.reference !== null) return { cursor, reference: cursor.reference };
    const isDue = (firstAt: string | null) => firstAt === null || Date.parse(firstAt) + referenceMs + windowMs <= nowMs;
    if (!isDue(cursor.firstAt)) return { cursor, reference: null };
    // Asked anew when it is due: a device that was away may have said something earlier meanwhile.
    const firstAt = await this.#firstAt(settled, version);
    if (firstAt === null || !isDue(firstAt)) return { cursor: { ...cursor, firstAt }, reference: null };
    const firstMs = Date.parse(firstAt);
    // Answers that come seldom: twice as long a time, until it has enough.
    for (let lengthMs = referenceMs; firstMs + lengthMs + windowMs <= nowMs; lengthMs *= 2) {
      const reference = await this.#pooled(settled, version, firstMs, firstMs + lengthMs);
      if (isReference(reference, settled)) return { cursor: { ...cursor, firstAt, reference }, reference };
    }
    return { cursor: { ...cursor, firstAt }, reference: null };
  }

  async #firstAt(settled: Looking, version: Version): Promise<string | null> {
    let first: string | null = null;
    await this.#each(settled, { sinceIso: EVER_ISO, ...version, max: 1 }, (_device, { at }) => {
      if (first === null || Date.parse(at) < Date.parse(first)) first = at;
    });
    return first;
  }

  async #pooled(settled: Looking, version: Version, fromMs: number, untilMs: number): Promise<Distribution> {
    const pool = new ResultPool();
    const [sinceIso, untilIso] = [new Date(fromMs).toISOString(), new Date(untilMs).toISOString()];
    await this.#each(settled, { sinceIso, untilIso, ...version }, (device, summary) => pool.add(device, summary));
    return pool.distribution(sinceIso, untilIso);
  }

  /** Results of the devices that serve the InferenceModel, one device after the other. */
  async #each(
    { inferenceModel, selector, signal }: Looking,
    range: { sinceIso: string; untilIso?: string; model?: string; version?: string; max?: number },
    take: (device: string, summary: ResultSummary) => void,
  ): Promise<void> {
    const { store } = this.#options;
    const selection = await readSelection(store, selector ?? '');
    const { model, version, max, ...between } = range;
    const only = {
      ...(model === undefined ? {} : { model }),
      ...(version === undefined ? {} : { version }),
      ...(max === undefined ? {} : { max }),
    };
    for (let after: string | null | undefined; after !== null; ) {
      const page: { items: Device[]; next: string | null } = await listSelected(
        store,
        'Device',
        selection,
        after === undefined ? {} : { after },
      );
      for (const { metadata, status } of page.items) {
        signal.throwIfAborted();
        if (!status.workloads.some(({ name }) => name === inferenceModel)) continue;
        for (const summary of await store.readResults(metadata.name, { ...between, ...only, workload: inferenceModel }))
          take(metadata.name, summary);
        await new Promise((resolve) => setImmediate(resolve)); // a large fleet must not hold up its messages
      }
      after = page.next;
    }
  }
}

function betweenLooksMs({ windowS }: SettledDrift): number {
  return Math.min(MOST_BETWEEN_LOOKS_MS, (windowS * 1000) / LOOKS_PER_WINDOW);
}
