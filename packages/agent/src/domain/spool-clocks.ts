/** Which clock stamped the records from a number on: that of one start of the machine, as long as nobody set it. */
export interface SpoolClock {
  from: number;
  /** Of the machine's start. */
  boot: string;
  /** When the machine started, by this clock; Unix milliseconds. */
  startedMs: number;
  /** This clock minus the server's, once it is known. */
  offsetMs: number | null;
  /** Taken for `offsetMs` until then. */
  guessMs: number;
}

/** Whether this is what was kept of clocks. */
export function areClocks(value: unknown): value is SpoolClock[] {
  return Array.isArray(value) && value.length <= MAX_CLOCKS && value.every(isClock);
}

function isClock(value: unknown): value is SpoolClock {
  if (typeof value !== 'object' || value === null) return false;
  const numbers = ['from', 'startedMs', 'guessMs'].map((name): unknown => Reflect.get(value, name));
  const [boot, offsetMs]: unknown[] = [Reflect.get(value, 'boot'), Reflect.get(value, 'offsetMs')];
  return numbers.every(Number.isFinite) && typeof boot === 'string' && (offsetMs === null || Number.isFinite(offsetMs));
}

/** Smaller differences are none: a sample is not more precise. */
const TOLERANCE_MS = 60_000;
const MAX_CLOCKS = 64;

export interface ClockReading {
  boot: string;
  wallMs: number;
  /** Since the machine's start. */
  uptimeMs: number;
}

/**
 * Adds a clock when the machine was started anew or its clock was set.
 *
 * @param latestMs - the latest time that is known to have been, by the server's clock: one that is behind it is wrong.
 */
export function noteClock(clocks: readonly SpoolClock[], from: number, reading: ClockReading, latestMs: number): readonly SpoolClock[] {
  const last = clocks.at(-1);
  const startedMs = reading.wallMs - reading.uptimeMs;
  if (last !== undefined && last.boot === reading.boot && Math.abs(startedMs - last.startedMs) < TOLERANCE_MS) return clocks;
  const isBehind = reading.wallMs < latestMs - TOLERANCE_MS;
  const guessMs = isBehind ? reading.wallMs - latestMs : 0;
  const made: SpoolClock = { from, boot: reading.boot, startedMs, offsetMs: null, guessMs };
  const sameStart = clocks.findLast(({ boot, offsetMs }) => boot === reading.boot && offsetMs !== null);
  if (sameStart !== undefined) made.offsetMs = (sameStart.offsetMs ?? 0) + startedMs - sameStart.startedMs;
  // One that stamped nothing is of no use.
  const used = last?.from === from ? clocks.slice(0, -1) : clocks;
  return [...used, made].slice(-MAX_CLOCKS);
}

/** The difference of the newest clock is known; with it, those of all clocks of the same start of the machine. */
export function learnClockOffset(clocks: readonly SpoolClock[], offsetMs: number): readonly SpoolClock[] {
  const last = clocks.at(-1);
  if (last === undefined) return clocks;
  return clocks.map((clock) => (clock.boot === last.boot ? { ...clock, offsetMs: offsetMs + clock.startedMs - last.startedMs } : clock));
}

/** What the server's clock showed when that of this record showed this. */
export function toServerMs(clocks: readonly SpoolClock[], sequence: number, wallMs: number): number {
  const clock = clocks.findLast(({ from }) => from <= sequence) ?? clocks[0];
  const offsetMs = clock === undefined ? 0 : (clock.offsetMs ?? clock.guessMs);
  return Math.abs(offsetMs) < TOLERANCE_MS ? wallMs : wallMs - offsetMs;
}
