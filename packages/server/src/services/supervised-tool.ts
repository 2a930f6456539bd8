import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Module, ToolDescription } from '@selvedge/contract';
import { describeError, type ProcessExit, SupervisedProcess, sleep } from '@selvedge/runtime';
import * as z from 'zod';
import { ModuleState, type ModuleStateOptions } from './module-state.ts';
import type { ToolDirectory } from './tool-directory.ts';

const HEALTH_INTERVAL_MS = 2000;
/** From spawn to the first good answer; a slow disk and a cold cache included. */
const START_LIMIT_MS = 60_000;
/** A tool that has not answered this often in a row is shown as unhealthy, then killed. */
const UNHEALTHY_AFTER = 2;
const KILL_AFTER = 15;
/** The whole stop of the server stays below five seconds. */
const CLEAN_UP_LIMIT_MS = 1500;

/** The line a tool prints when it listens. */
const listeningSchema = z.object({ event: z.enum(['listening', 'ready']), port: z.int().min(1).max(65_535) });

export interface SupervisedToolOptions extends ModuleStateOptions {
  command: readonly string[];
  env: Record<string, string>;
  /** From spawn to the first good answer; default a minute. */
  startLimitMs?: number | undefined;
  /** Run after it has been stopped, so that nothing of it is left. */
  afterStop?: readonly string[] | undefined;
  directory: ToolDirectory;
}

/**
 * One tool process: spawned, listened to, asked for its health.
 *
 * Invariant: the directory has the tool's address exactly while a child runs that has said where it listens.
 */
export class SupervisedTool {
  readonly name: string;
  readonly #options: SupervisedToolOptions;
  readonly #process: SupervisedProcess;
  readonly #state: ModuleState;
  readonly #stopping = new AbortController();
  #watch: AbortController | undefined;

  constructor(options: SupervisedToolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#state = new ModuleState(options, () => this.#process);
    this.#process = new SupervisedProcess({
      name: options.name,
      command: options.command,
      env: options.env,
      backoff: { baseMs: 500, maxMs: 30_000, resetAfterMs: 60_000 },
      log: options.log,
      onSpawn: () => this.#spawned(),
      onExit: (exit) => this.#exited(exit),
      onLine: (stream, line) => this.#line(stream, line),
    });
  }

  /** What the tool says of itself; undefined until it was healthy once. */
  get description(): ToolDescription | undefined {
    return this.#state.description;
  }

  start(): void {
    this.#process.start();
  }

  async stop(options: { graceMs?: number }): Promise<void> {
    this.#stopping.abort();
    await this.#process.stop(options);
    await this.#cleanUp();
    this.#state.enter('stopped');
  }

  async #cleanUp(): Promise<void> {
    const [program, ...args] = this.#options.afterStop ?? [];
    if (program === undefined) return;
    await promisify(execFile)(program, args, { timeout: CLEAN_UP_LIMIT_MS }).catch((error: unknown) => {
      this.#options.log.warn('what the tool may have left could not be removed', describeError(error));
    });
  }

  /** Ends the process at once; it is started again after the usual delay. */
  restart(): void {
    this.#process.restart();
  }

  describe(): Module {
    return this.#state.describe();
  }

  whyDown(): string | undefined {
    if (this.#state.state === 'healthy' || this.#state.state === 'unhealthy') return undefined;
    const exit = this.#process.lastExit;
    if (this.#state.state === 'stopped') return `The ${this.name} tool is stopped.`;
    if (exit === undefined) return `The ${this.name} tool is starting.`;
    const how = exit.signal === null ? `with code ${exit.code ?? 'unknown'}` : `by signal ${exit.signal}`;
    return `The ${this.name} tool ended ${how} and is being restarted.`;
  }

  #spawned(): void {
    this.#state.enter(this.#process.restarts === 0 ? 'starting' : 'restarting');
    this.#watch = new AbortController();
    const signal = AbortSignal.any([this.#watch.signal, this.#stopping.signal]);
    this.#keepWatch(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#options.log.error('watching the tool failed', { error: String(error) });
    });
  }

  #exited(exit: ProcessExit): void {
    this.#watch?.abort();
    this.#options.directory.remove(this.name);
    this.#state.setIdle();
    if (this.#stopping.signal.aborted) return;
    this.#options.log.warn('tool ended', { code: exit.code, signal: exit.signal });
    this.#state.enter('restarting');
  }

  #line(stream: 'stdout' | 'stderr', line: string): void {
    const listening = stream === 'stdout' ? parseListening(line) : undefined;
    if (listening !== undefined) this.#options.directory.set(this.name, `http://127.0.0.1:${listening.port}`);
    else this.#options.log.debug('tool output', { stream, line: line.slice(0, 4096) });
  }

  async #keepWatch(signal: AbortSignal): Promise<void> {
    const spawnedAt = performance.now();
    let missed = 0;
    while (!signal.aborted) {
      const up = this.#options.directory.addressOf(this.name) !== undefined && (await this.#state.check(signal));
      if (signal.aborted) return;
      const starting = this.#state.state === 'starting' || this.#state.state === 'restarting';
      missed = up ? 0 : missed + 1;
      if (up) {
        this.#state.enter('healthy');
      } else if (starting && performance.now() - spawnedAt > (this.#options.startLimitMs ?? START_LIMIT_MS)) {
        this.#options.log.error('tool did not come up in time; it is killed');
        this.#process.restart();
        return;
      } else if (!starting && missed >= KILL_AFTER) {
        this.#options.log.error('tool does not answer; it is killed', { missed });
        this.#process.restart();
        return;
      } else if (!starting && missed >= UNHEALTHY_AFTER) {
        this.#state.enter('unhealthy');
      }
      // A tool on its way up is looked at often, so that nothing waits for the next round.
      await sleep(starting && !up ? 50 : HEALTH_INTERVAL_MS, signal);
    }
  }
}

function parseListening(line: string): { port: number } | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const parsed = listeningSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // some other output of the tool that begins with a brace
  }
}
