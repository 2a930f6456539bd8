import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type LogLine, type LogPage, MAX_LOG_LINE_CHARS, MAX_LOG_PAGE_BYTES } from '@selvedge/contract';
import type { LineLog, LogQuery } from '../../ports/device-log.ts';

const FLUSH_MS = 1000;
/** With somebody waiting: long enough that a burst is one write. */
const FLUSH_SOON_MS = 50;
/** Lines that wait for the disk; a program that floods its log faster than this loses what is too much, and a line says so. */
const MAX_PENDING_BYTES = 512 * 1024;
/** Newest lines, so that who follows is answered without a look at the disk. */
const RECENT_BYTES = 32 * 1024;
/** Each start begins at a multiple of this: numbers that a power failure took from the disk are not given a second time. */
const START_STEP = 1_000_000;

function format({ sequence, at, text }: LogLine): string {
  return `${sequence} ${at} ${text}\n`;
}

/** undefined for a line that a crash cut short. */
function parse(line: string): LogLine | undefined {
  const match = /^(\d{1,15}) (\d{4}-\d\d-\d\dT[\d:.]+Z) (.*)$/s.exec(line);
  return match === null ? undefined : { sequence: Number(match[1]), at: match[2] ?? '', text: match[3] ?? '' };
}

function readLines(path: string): LogLine[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line) => parse(line) ?? []);
  } catch {
    return []; // there is none yet, or it cannot be read: a log is no reason to stop
  }
}

/**
 * One log in two files of bounded size: the newer is written, and takes the place of the older when it is full.
 *
 * Invariants: numbers grow, also over restarts; only lines that are in the file are shown, so that no number that somebody has
 * seen is given again after the agent was killed; the file system is touched once a second at most, unless somebody waits.
 */
export class LineLogFile implements LineLog {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #clock: () => number;
  #opened = false;
  #sizeBytes = 0;
  #next = 1;
  #pending: LogLine[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #recent: LogLine[] = [];
  #recentBytes = 0;
  #flushed = 0;
  #timer: NodeJS.Timeout | undefined;
  #isSoon = false;
  readonly #waiting = new Set<{ after: number; wake: () => void }>();

  constructor(path: string, maxBytes: number, clock: () => number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  append(text: string): void {
    if (this.#pendingBytes > MAX_PENDING_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#open();
    this.#push(text);
    // Errors at once: they are what one looks for after the agent has died.
    if (/"level":"error"|^\S+ error /.test(text)) this.flush();
    else this.#schedule(this.#waiting.size > 0);
  }

  async read(query: LogQuery): Promise<LogPage> {
    this.#open();
    this.flush();
    const { after, tail, sinceMs } = query;
    // A number that is higher than all: of a log that was lost.
    const known = after !== undefined && after <= this.#flushed ? after : undefined;
    const lines = this.#from(known ?? 0).filter(({ at }) => sinceMs === undefined || Date.parse(at) >= sinceMs);
    const wanted = after === undefined && tail !== undefined ? lines.slice(Math.max(0, lines.length - tail)) : lines;
    const page: LogLine[] = [];
    let size = 0;
    for (const line of wanted) {
      size += Buffer.byteLength(line.text) + 64;
      if (page.length > 0 && size > MAX_LOG_PAGE_BYTES) break;
      page.push(line);
    }
    const next = page.length < wanted.length ? (page.at(-1)?.sequence ?? 0) : this.#flushed;
    return { lines: page, next, gap: after !== undefined && this.#isGap(after, page[0]) };
  }

  async wait(after: number, waitMs: number): Promise<void> {
    this.flush();
    if (this.#flushed !== after || waitMs === 0) return;
    await new Promise<void>((resolve) => {
      const waiter = {
        after,
        wake: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(waiter.wake, waitMs);
      this.#waiting.add(waiter);
      if (this.#pending.length > 0) this.#schedule(true);
    });
  }

  /** Writes what waits. What cannot be written is given up: a full disk must not fill the memory too. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dropped > 0) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      this.#push(`(${dropped} lines were dropped: too many at once)`);
    }
    const lines = this.#pending;
    if (lines.length === 0) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    const text = lines.map(format).join('');
    try {
      if (this.#sizeBytes > 0 && this.#sizeBytes + text.length > this.#maxBytes) {
        renameSync(this.#path, `${this.#path}.1`);
        this.#sizeBytes = 0;
      }
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#sizeBytes += Buffer.byteLength(text);
    } catch {
      return;
    }
    this.#remember(lines);
    for (const waiter of [...this.#waiting]) if (waiter.after !== this.#flushed) waiter.wake();
  }

  #push(text: string): void {
    const line = text.trimEnd().replaceAll(/[\r\n]+/g, ' ');
    const cut = line.length > MAX_LOG_LINE_CHARS ? `${line.slice(0, MAX_LOG_LINE_CHARS - 1)}…` : line;
    this.#pending.push({ sequence: this.#next, at: new Date(this.#clock()).toISOString(), text: cut });
    this.#pendingBytes += cut.length;
    this.#next += 1;
  }

  #remember(lines: readonly LogLine[]): void {
    this.#flushed = lines.at(-1)?.sequence ?? this.#flushed;
    this.#recent.push(...lines);
    this.#recentBytes += lines.reduce((sum, { text }) => sum + text.length + 64, 0);
    while (this.#recentBytes > RECENT_BYTES && this.#recent.length > 1) this.#recentBytes -= (this.#recent.shift()?.text.length ?? 0) + 64;
  }

  #from(after: number): LogLine[] {
    const first = this.#recent[0];
    if (after === this.#flushed) return [];
    if (first !== undefined && after + 1 >= first.sequence) return this.#recent.filter(({ sequence }) => sequence > after);
    return [...readLines(`${this.#path}.1`), ...readLines(this.#path)].filter(({ sequence }) => sequence > after);
  }

  /** Whether lines behind `after` are gone; numbers that a start has left out are none. */
  #isGap(after: number, first: LogLine | undefined): boolean {
    if (after > this.#flushed) return true;
    if (first === undefined || first.sequence === after + 1) return false;
    const [oldest] = this.#from(0);
    return oldest !== undefined && oldest.sequence > after + 1 && after > 0 && first.sequence === oldest.sequence;
  }

  #schedule(isAwaited: boolean): void {
    if (this.#timer !== undefined && (this.#isSoon || !isAwaited)) return;
    clearTimeout(this.#timer);
    this.#isSoon = isAwaited;
    this.#timer = setTimeout(() => this.flush(), isAwaited ? FLUSH_SOON_MS : FLUSH_MS);
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const lines = readLines(this.#path);
    const last = (lines.at(-1) ?? readLines(`${this.#path}.1`).at(-1))?.sequence ?? 0;
    this.#flushed = last;
    this.#next = last === 0 ? 1 : (Math.floor(last / START_STEP) + 1) * START_STEP;
    try {
      this.#sizeBytes = statSync(this.#path).size;
      // A line that a crash cut short must not run into the next one.
      if (this.#sizeBytes > 0) appendFileSync(this.#path, '\n');
    } catch {
      this.#sizeBytes = 0;
    }
  }
}
