import {
  AppError,
  MAX_OUTPUT_PAGE_BYTES,
  MAX_UNREAD_OUTPUT_BYTES,
  type OutputPage,
  type ProgramEnd,
  type TerminalSize,
} from '@selvedge/contract';
import { type BufferedChunk, OutputBuffer } from '../domain/output-buffer.ts';
import type { ProgramOutput, RunningProgram } from '../ports/program-runner.ts';

export interface ProgramLimits {
  /** Seconds from the start; null: none. */
  maxSeconds: number | null;
  /** Seconds without input; null: none. */
  idleSeconds: number | null;
  maxOutputBytes: number | null;
}

const KILL_AFTER_MS = 5000;

/**
 * One program that runs or has run, and what it wrote.
 *
 * Invariants: what is not read yet stays within a bound, beyond it the program is not read from; it has an end once, and
 * only when all of its output is in the buffer, or was given up because it was ended.
 */
export class Program {
  readonly #buffer = new OutputBuffer();
  readonly #limits: ProgramLimits;
  readonly #onEnd: (end: ProgramEnd) => Promise<void>;
  #running: RunningProgram | undefined;
  #end: ProgramEnd | null = null;
  #ending = false;
  #failure: ProgramEnd['error'] = null;
  #paused = false;
  #discarding = false;
  #input = 0;
  #overTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<() => void>();
  /** Unix milliseconds. */
  endedAtMs: number | null = null;

  constructor(limits: ProgramLimits, onEnd: (end: ProgramEnd) => Promise<void>) {
    this.#limits = limits;
    this.#onEnd = onEnd;
  }

  get isRunning(): boolean {
    return !this.#ending;
  }

  /** Takes what the program writes, from its first moment. */
  take({ source, bytes }: ProgramOutput): void {
    if (this.#discarding) return;
    this.#buffer.append(source, bytes);
    const { maxOutputBytes } = this.#limits;
    if (maxOutputBytes !== null && this.#buffer.totalBytes > maxOutputBytes) {
      this.cancel('PAYLOAD_TOO_LARGE', `It wrote more than ${maxOutputBytes} bytes, which the device does not allow.`);
    } else if (this.#buffer.unreadBytes >= MAX_UNREAD_OUTPUT_BYTES && !this.#paused) {
      this.#paused = true;
      this.#running?.pause();
    }
    this.#notify();
  }

  follow(running: RunningProgram): void {
    this.#running = running;
    if (this.#paused) running.pause();
    const { maxSeconds } = this.#limits;
    if (maxSeconds !== null)
      this.#overTimer = setTimeout(() => this.cancel('TIMEOUT', `It took longer than ${maxSeconds} s and was ended.`), maxSeconds * 1000);
    this.#touch();
    void running.ended.then(({ exitCode, signal }) => this.finish({ exitCode, signal, error: this.#failure }));
  }

  async finish(end: ProgramEnd): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    for (const timer of [this.#overTimer, this.#idleTimer, this.#killTimer]) clearTimeout(timer);
    this.#running = undefined;
    await this.#onEnd(end).catch(() => undefined); // said where it is written; the end is true all the same
    this.#end = end;
    this.endedAtMs = performance.now();
    this.#notify();
  }

  /** Ends it, and what it has started; what it wrote and nobody read yet stays, what it writes from now on does not. */
  cancel(code: string, message: string): void {
    const running = this.#running;
    if (this.#ending || running === undefined || this.#discarding) return;
    this.#failure = { code, message };
    this.#discarding = true;
    running.resume();
    running.kill('SIGTERM');
    this.#killTimer = setTimeout(() => running.kill('SIGKILL'), KILL_AFTER_MS);
  }

  /** Ends it at once. */
  async kill(code: string, message: string): Promise<void> {
    this.cancel(code, message);
    this.#running?.kill('SIGKILL');
    await this.#running?.ended;
  }

  /** Input to a terminal; a number that was taken already is dropped. */
  write(sequence: number, bytes: Uint8Array | undefined, size: TerminalSize | undefined): void {
    if (this.#running === undefined) throw new AppError('CONFLICT', { message: 'The program has ended.' });
    if (sequence <= this.#input) return;
    if (sequence !== this.#input + 1) throw new AppError('CONFLICT', { message: `Input ${this.#input + 1} is missing.` });
    this.#input = sequence;
    this.#touch();
    if (size !== undefined) this.#running.resize(size);
    if (bytes !== undefined) this.#running.write(bytes);
  }

  /** Output behind `after`; waits for some, or for the end, as long as `waitMs`. */
  async read(after: number, waitMs: number): Promise<OutputPage> {
    let chunks = this.#read(after);
    if (chunks.length === 0 && this.#end === null && waitMs > 0) {
      await this.#change(waitMs);
      chunks = this.#read(after);
    }
    const last = chunks.at(-1)?.sequence ?? after;
    return {
      chunks: chunks.map(({ sequence, source, parts }) => ({ sequence, source, dataBase64: Buffer.concat(parts).toString('base64') })),
      end: last >= this.#buffer.lastSequence ? this.#end : null,
    };
  }

  #read(after: number): BufferedChunk[] {
    const chunks = this.#buffer.read(after, MAX_OUTPUT_PAGE_BYTES);
    if (this.#paused && this.#buffer.unreadBytes < MAX_UNREAD_OUTPUT_BYTES / 2) {
      this.#paused = false;
      this.#running?.resume();
    }
    return chunks;
  }

  #touch(): void {
    const { idleSeconds } = this.#limits;
    clearTimeout(this.#idleTimer);
    if (idleSeconds !== null)
      this.#idleTimer = setTimeout(() => this.cancel('TIMEOUT', `Nothing was typed for ${idleSeconds} s.`), idleSeconds * 1000);
  }

  #change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      this.#waiting.add(done);
    });
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
