import type { Module, ToolDescription } from '@selvedge/contract';
import { type Logger, type ProcessExit, SupervisedProcess, sleep } from '@selvedge/runtime';
import * as z from 'zod';
import type { ToolClient } from '../ports/tool-client.ts';
import type { ToolDirectory } from './tool-directory.ts';

const HEALTH_INTERVAL_MS = 2000;
/** From spawn to the first good answer; a slow disk and a cold cache included. */
const START_LIMIT_MS = 60_000;
/** A tool that has not answered this often in a row is shown as unhealthy, then killed. */
const UNHEALTHY_AFTER = 2;
const KILL_AFTER = 15;

/** The line a tool prints when it listens. */
const listeningSchema = z.object({ event: z.enum(['listening', 'ready']), port: z.int().min(1).max(65_535) });

export interface SupervisedToolOptions {
  name: string;
  command: readonly string[];
  env: Record<string, string>;
  /** From spawn to the first good answer; default a minute. */
  startLimitMs?: number | undefined;
  directory: ToolDirectory;
  tools: ToolClient;
  log: Logger;
  clock: () => Date;
  onChange: (module: Module) => void;
}

/**
 * One tool process: spawned, listened to, asked for its health.
 *
 * Invariants: the directory has the tool's address exactly while a child runs that has said where it listens; every
 * change of state is announced once.
 */
export class SupervisedTool {
  readonly name: string;
  readonly #options: SupervisedToolOptions;
  readonly #process: SupervisedProcess;
  readonly #stopping = new AbortController();
  #watch: AbortController | undefined;
  #state: Module['state'] = 'stopped';
  #since: string;
  #busyWith: string | null = null;
  #queued = 0;
  #description: ToolDescription | undefined;
  #announced = '';

  constructor(options: SupervisedToolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#since = options.clock().toISOString();
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
    return this.#description;
  }

  start(): void {
    this.#process.start();
  }

  async stop(options: { graceMs?: number }): Promise<void> {
    this.#stopping.abort();
    await this.#process.stop(options);
    this.#enter('stopped');
  }

  /** Ends the process at once; it is started again after the usual delay. */
  restart(): void {
    this.#process.restart();
  }

  describe(): Module {
    return {
      name: this.name,
      state: this.#state,
      pid: this.#process.pid ?? null,
      restarts: this.#process.restarts,
      since: this.#since,
      lastExit: this.#process.lastExit ?? null,
      busyWith: this.#busyWith,
      queued: this.#queued,
      version: this.#description?.version ?? null,
    };
  }

  whyDown(): string | undefined {
    if (this.#state === 'healthy' || this.#state === 'unhealthy') return undefined;
    const exit = this.#process.lastExit;
    if (this.#state === 'stopped') return `The ${this.name} tool is stopped.`;
    if (exit === undefined) return `The ${this.name} tool is starting.`;
    const how = exit.signal === null ? `with code ${exit.code ?? 'unknown'}` : `by signal ${exit.signal}`;
    return `The ${this.name} tool ended ${how} and is being restarted.`;
  }

  #spawned(): void {
    this.#enter(this.#process.restarts === 0 ? 'starting' : 'restarting');
    this.#watch = new AbortController();
    const signal = AbortSignal.any([this.#watch.signal, this.#stopping.signal]);
    this.#keepWatch(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#options.log.error('watching the tool failed', { error: String(error) });
    });
  }

  #exited(exit: ProcessExit): void {
    this.#watch?.abort();
    this.#options.directory.remove(this.name);
    this.#busyWith = null;
    if (this.#stopping.signal.aborted) return;
    this.#options.log.warn('tool ended', { code: exit.code, signal: exit.signal });
    this.#enter('restarting');
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
      const up = this.#options.directory.addressOf(this.name) !== undefined && (await this.#check(signal));
      if (signal.aborted) return;
      const starting = this.#state === 'starting' || this.#state === 'restarting';
      missed = up ? 0 : missed + 1;
      if (up) {
        this.#enter('healthy');
      } else if (starting && performance.now() - spawnedAt > (this.#options.startLimitMs ?? START_LIMIT_MS)) {
        this.#options.log.error('tool did not come up in time; it is killed');
        this.#process.restart();
        return;
      } else if (!starting && missed >= KILL_AFTER) {
        this.#options.log.error('tool does not answer; it is killed', { missed });
        this.#process.restart();
        return;
      } else if (!starting && missed >= UNHEALTHY_AFTER) {
        this.#enter('unhealthy');
      }
      // A tool on its way up is looked at often, so that nothing waits for the next round.
      await sleep(starting && !up ? 50 : HEALTH_INTERVAL_MS, signal);
    }
  }

  async #check(signal: AbortSignal): Promise<boolean> {
    try {
      const health = await this.#options.tools.health(this.name, signal);
      this.#description ??= await this.#options.tools.describe(this.name);
      this.#busyWith = health.busyWith;
      this.#queued = health.queued;
      return true;
    } catch (error) {
      if (!signal.aborted) this.#options.log.debug('no healthy answer from the tool', { error: String(error) });
      return false;
    }
  }

  #enter(state: Module['state']): void {
    if (state !== this.#state) {
      this.#state = state;
      this.#since = this.#options.clock().toISOString();
    }
    const module = this.describe();
    const text = JSON.stringify(module);
    if (text === this.#announced) return;
    this.#announced = text;
    this.#options.onChange(module);
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
