import type { LinkStanding } from '@selvedge/contract';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Pings come once a minute at most: about half an hour of them. */
const MAX_ROUND_TRIPS = 32;
const MAX_DOWNLOADS = 8;
/** What comes in one piece says nothing of a rate. */
const LEAST_DOWNLOAD_BYTES = 64 * 1024;
/** Of reconnections that are remembered; a link that is worse than one a minute is not told from one that is much worse. */
const MAX_RECONNECTS = 1440;

interface PingsOfHour {
  hour: number;
  sent: number;
  unanswered: number;
}

/**
 * What a device sees of its link while it does what it does anyway; costs no byte of its own, but for the few that report it.
 * Everything is bounded, and forgotten when the process ends.
 */
export class LinkMeter {
  readonly #clock: () => number;
  readonly #startedMs: number;
  readonly #roundTripsMs: number[] = [];
  readonly #downloads: { bytes: number; tookMs: number }[] = [];
  #reconnectsAtMs: number[] = [];
  #pings: PingsOfHour[] = [];
  #wasConnected = false;
  /** Of the best wireless interface; whoever can read it says so. */
  wifiDbm: number | null = null;

  /** @param clock - milliseconds that are never set. */
  constructor(clock: () => number) {
    this.#clock = clock;
    this.#startedMs = clock();
  }

  /** Something was answered so many milliseconds after it was sent. */
  answered(tookMs: number): void {
    keep(this.#roundTripsMs, Math.max(0, tookMs), MAX_ROUND_TRIPS);
  }

  pinged(): void {
    this.#pingsNow().sent += 1;
  }

  /** The last ping will not be answered any more. */
  unanswered(): void {
    this.#pingsNow().unanswered += 1;
  }

  connected(): void {
    if (this.#wasConnected) keep(this.#reconnectsAtMs, this.#clock(), MAX_RECONNECTS);
    this.#wasConnected = true;
  }

  /** So much came in this time; a download that was cut counts with what it brought. */
  downloaded(bytes: number, tookMs: number): void {
    if (bytes >= LEAST_DOWNLOAD_BYTES) keep(this.#downloads, { bytes, tookMs: Math.max(1, tookMs) }, MAX_DOWNLOADS);
  }

  /** Undefined before the first round trip. */
  standing(): LinkStanding | undefined {
    const sorted = [...this.#roundTripsMs].sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    const nowMs = this.#clock();
    this.#reconnectsAtMs = this.#reconnectsAtMs.filter((atMs) => atMs > nowMs - DAY_MS);
    return {
      rttMs: rounded(quantile(sorted, 0.5)),
      rttP95Ms: rounded(quantile(sorted, 0.95)),
      samples: sorted.length,
      reconnectsHour: this.#reconnectsAtMs.filter((atMs) => atMs > nowMs - HOUR_MS).length,
      reconnectsDay: this.#reconnectsAtMs.length,
      unansweredPings: this.#unansweredShare(),
      downloadBytesPerS: this.#bytesPerS(),
      wifiDbm: this.wifiDbm,
      watchedS: Math.round(Math.min(nowMs - this.#startedMs, DAY_MS) / 1000),
    };
  }

  #bytesPerS(): number | null {
    if (this.#downloads.length === 0) return null;
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    return Math.round((1000 * sum(this.#downloads.map(({ bytes }) => bytes))) / sum(this.#downloads.map(({ tookMs }) => tookMs)));
  }

  #unansweredShare(): number | null {
    this.#forgetPings();
    const sent = this.#pings.reduce((sum, hour) => sum + hour.sent, 0);
    const unanswered = this.#pings.reduce((sum, hour) => sum + hour.unanswered, 0);
    // One that was sent before the last full hour may have failed after it.
    return sent === 0 ? null : Math.round(Math.min(1, unanswered / sent) * 1e4) / 1e4;
  }

  #pingsNow(): PingsOfHour {
    this.#forgetPings();
    const hour = Math.floor(this.#clock() / HOUR_MS);
    const last = this.#pings.at(-1);
    if (last?.hour === hour) return last;
    const opened = { hour, sent: 0, unanswered: 0 };
    this.#pings.push(opened);
    return opened;
  }

  #forgetPings(): void {
    const oldest = Math.floor((this.#clock() - DAY_MS) / HOUR_MS);
    this.#pings = this.#pings.filter(({ hour }) => hour > oldest);
  }
}

function keep<T>(list: T[], value: T, most: number): void {
  list.push(value);
  if (list.length > most) list.shift();
}

/** @param sorted - at least one. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
