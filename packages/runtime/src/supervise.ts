import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Backoff, backoffDelayMs } from './backoff.ts';
import type { Logger } from './log.ts';
import { EXIT_WITH_PARENT_ENV } from './main-process.ts';

export interface ProcessExit {
  code: number | null;
  signal: string | null;
  at: string;
}

export interface SupervisedProcessOptions {
  name: string;
  /** Program and arguments. */
  command: readonly string[];
  /** Added to our own environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Delays between restarts; the count of failures starts anew after the child has lived for `resetAfterMs`. */
  backoff: Backoff & { resetAfterMs: number };
  log: Logger;
  /** Opens Node's IPC channel to the child. */
  ipc?: boolean;
  onSpawn?: (child: ChildProcess) => void;
  onExit?: (exit: ProcessExit) => void;
  /** One line of the child's output, without the newline. */
  onLine?: (stream: 'stdout' | 'stderr', line: string) => void;
}

/**
 * Keeps one child process alive, with back-off.
 *
 * Invariants: at most one child at a time; after `stop` there is none; the child's stdin is held open and the child is
 * told to end when it closes, so it never outlives us, however we end.
 */
export class SupervisedProcess {
  readonly #options: SupervisedProcessOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wanted = false;
  #failures = 0;
  #restarts = 0;
  #lastExit: ProcessExit | undefined;
  #stopped: (() => void)[] = [];

  constructor(options: SupervisedProcessOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }
  /** The running child, for IPC. */
  get child(): ChildProcess | undefined {
    return this.#child;
  }
  get restarts(): number {
    return this.#restarts;
  }
  get lastExit(): ProcessExit | undefined {
    return this.#lastExit;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#spawn();
  }

  /** Kills the child, if any; it is started again after the usual delay. */
  restart(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Asks with SIGTERM, insists with SIGKILL after `graceMs` (default 3,000). Resolves when the child is gone. */
  async stop(options: { graceMs?: number } = {}): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => {
      this.#stopped.push(resolve);
    });
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), options.graceMs ?? 3000);
    await gone;
    clearTimeout(killer);
  }

  #spawn(): void {
    const { command, env, cwd, ipc, onLine, onSpawn, log, name } = this.#options;
    const [program = '', ...args] = command;
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env, [EXIT_WITH_PARENT_ENV]: '1' },
      stdio: ipc === true ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    const startedAt = performance.now();
    child.stdin?.on('error', () => undefined); // the child closed its end first; its exit is handled below
    for (const stream of ['stdout', 'stderr'] as const) {
      const source = child[stream];
      if (source !== null) createInterface({ input: source }).on('line', (line) => onLine?.(stream, line));
    }
    let ended = false;
    const onEnd = (code: number | null, signal: string | null) => {
      if (ended) return;
      ended = true;
      this.#child = undefined;
      this.#ended({ code, signal, at: new Date().toISOString() }, performance.now() - startedAt);
    };
    child.on('error', (error) => {
      log.error('process could not be started', { process: name, error: error.message });
      onEnd(null, null);
    });
    child.on('exit', onEnd);
    onSpawn?.(child);
  }

  #ended(exit: ProcessExit, livedMs: number): void {
    const { backoff, log, name, onExit } = this.#options;
    this.#lastExit = exit;
    if (!this.#wanted) {
      for (const resolve of this.#stopped.splice(0)) resolve();
      onExit?.(exit);
      return;
    }
    this.#failures = livedMs >= backoff.resetAfterMs ? 1 : this.#failures + 1;
    const delayMs = backoffDelayMs(this.#failures, backoff);
    log.warn('process ended; starting it again', { process: name, code: exit.code, signal: exit.signal, inMs: Math.round(delayMs) });
    this.#timer = setTimeout(() => {
      this.#restarts += 1;
      this.#spawn();
    }, delayMs);
    onExit?.(exit);
  }
}
