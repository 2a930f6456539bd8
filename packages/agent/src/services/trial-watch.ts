import type { TrialGates } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { addTraffic, NO_TRAFFIC, type Traffic, trafficSince } from '../domain/histogram.ts';
import { parseModelMetrics } from '../domain/model-metrics.ts';
import { type ProxyCounts, proxyCountsSchema } from '../domain/proxy-counts.ts';
import { armOf, type TrialRecord } from '../domain/trial-record.ts';
import { judgeTrial, type TrialVerdict } from '../domain/trial-verdict.ts';
import type { ModelProcess } from '../ports/model-process.ts';

export interface TrafficSource {
  process: ModelProcess;
  isProxy: boolean;
}

export interface TrialWatchOptions {
  record: () => TrialRecord;
  /** Keeps what was observed. */
  onSeen: (seen: Partial<TrialRecord>) => void;
  gates: TrialGates;
  minRequests: number;
  durationMs: number;
  /** The process of the version on trial; undefined while it is down. */
  candidate: () => ModelProcess | undefined;
  /** What counts its answers: the proxy before both versions, or its own process; undefined while it gets no traffic. */
  source: () => TrafficSource | undefined;
  temperatureC: () => Promise<number | null>;
  /** After each look. @param reason - why it failed, when no gate says it. */
  onVerdict: (verdict: TrialVerdict, reason?: string) => void;
  log: Logger;
}

const LOOK_EVERY_MS = 1000;
/** A look that comes much later than this was not watching meanwhile: the device slept. */
const LONGEST_LOOK_MS = 10_000;
/** Warm-up, in which memory is expected to grow: this share of the trial, at most so long. */
const WARM_SHARE = 0.2;
const MAX_WARM_MS = 60_000;
/** The middle one of so many readings counts: one alone may be a peak. */
const MEMORY_READINGS = 5;
/** A version that is not heard of so many times in a row has failed. */
const MAX_SILENT_LOOKS = 30;
const MIB = 2 ** 20;
const NO_COUNTS: ProxyCounts = { previous: NO_TRAFFIC, candidate: NO_TRAFFIC, compared: 0, same: 0, skipped: 0 };

/** Looks at a version on trial once a second, and judges it. Exists only while a trial runs. */
export class TrialWatch {
  readonly #options: TrialWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** Looks in a row at which it did not answer. */
  #silentLooks = 0;
  #lastMs: number | undefined;
  #source: ModelProcess | undefined;
  /** As last read of `#source`. */
  #counted: Traffic = NO_TRAFFIC;
  #counts: ProxyCounts = NO_COUNTS;
  #rss: number[] = [];
  #readings = 0;
  #warmMiB: number | null = null;

  constructor(options: TrialWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    void this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Judges by what is known now. */
  judge(): TrialVerdict {
    const { record, gates, minRequests, durationMs } = this.#options;
    const { crashes, candidate, previous, golden, agreement, temperature, watchedMs } = record();
    const memory = { readings: this.#readings, nowMiB: median(this.#rss), warmMiB: this.#warmMiB };
    return judgeTrial(
      gates,
      { crashes, candidate, previous, golden, agreement, temperature, memory },
      minRequests,
      watchedMs >= durationMs,
    );
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#timer === undefined) return;
    this.#looking = true;
    const nowMs = performance.now();
    const passedMs = Math.min(nowMs - (this.#lastMs ?? nowMs), LONGEST_LOOK_MS);
    this.#lastMs = nowMs;
    const [traffic] = await Promise.allSettled([this.#readTraffic(), this.#readMemory(), this.#readTemperature()]);
    this.#options.onSeen({ watchedMs: this.#options.record().watchedMs + passedMs });
    if (traffic.status === 'rejected') this.#options.log.debug('a version on trial could not be looked at', describeError(traffic.reason));
    const isSilent = traffic.status === 'rejected' || this.#source === undefined;
    this.#silentLooks = isSilent ? this.#silentLooks + 1 : 0;
    this.#looking = false;
    if (this.#timer !== undefined) this.#conclude();
  }

  #conclude(): void {
    const verdict = this.judge();
    if (this.#silentLooks >= MAX_SILENT_LOOKS) {
      this.#options.onVerdict({ ...verdict, outcome: 'failed' }, 'It did not say what it has answered (/metrics).');
      return;
    }
    // Nothing passes unseen: one that does not answer now may hang, which shows a little later.
    const isUnseen = verdict.outcome === 'passed' && this.#silentLooks > 0;
    this.#options.onVerdict(isUnseen ? { ...verdict, outcome: 'undecided' } : verdict);
  }

  async #readTraffic(): Promise<void> {
    const source = this.#options.source();
    const process = source?.process;
    if (process !== this.#source) {
      this.#source = process;
      this.#counts = NO_COUNTS;
      // A model server counts its golden set too: what it counted before its traffic is not part of it.
      this.#counted = source?.isProxy === false ? await this.#read(source.process) : NO_TRAFFIC;
    }
    if (source === undefined) return;
    if (source.isProxy) return this.#readProxy(source.process);
    const now = await this.#read(source.process);
    const { candidate } = this.#options.record();
    this.#options.onSeen({ candidate: addTraffic(candidate, trafficSince(this.#counted, now)) });
    this.#counted = now;
  }

  async #read(source: ModelProcess): Promise<Traffic> {
    return parseModelMetrics(await source.read('/metrics'));
  }

  async #readProxy(proxy: ModelProcess): Promise<void> {
    const now = proxyCountsSchema.parse(JSON.parse(await proxy.read('/trial')));
    const { candidate, previous, agreement, mode, version, stableVersion } = this.#options.record();
    const before = this.#counts;
    this.#counts = now;
    const next = {
      candidate: addTraffic(candidate, trafficSince(before.candidate, now.candidate)),
      previous: addTraffic(previous ?? NO_TRAFFIC, trafficSince(before.previous, now.previous)),
    };
    const known = agreement ?? { compared: 0, same: 0 };
    const added = { compared: known.compared + now.compared - before.compared, same: known.same + now.same - before.same };
    this.#options.onSeen({
      ...next,
      agreement: mode === 'shadow' ? added : null,
      arms: [armOf(stableVersion ?? '', next.previous), armOf(version, next.candidate)],
    });
  }

  async #readMemory(): Promise<void> {
    const bytes = (await this.#options.candidate()?.rssBytes()) ?? null;
    if (bytes === null) return;
    this.#readings += 1;
    this.#rss = [...this.#rss, bytes / MIB].slice(-MEMORY_READINGS);
    const { durationMs, record } = this.#options;
    const isWarming = this.#warmMiB === null || record().watchedMs < Math.min(MAX_WARM_MS, durationMs * WARM_SHARE);
    if (isWarming) this.#warmMiB = Math.max(this.#warmMiB ?? 0, bytes / MIB);
  }

  async #readTemperature(): Promise<void> {
    const now = await this.#options.temperatureC();
    if (now === null) return;
    const { readings, highestC } = this.#options.record().temperature;
    this.#options.onSeen({ temperature: { readings: readings + 1, highestC: Math.max(highestC ?? now, now) } });
  }
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}
