import type { Module, ToolDescription } from '@selvedge/contract';
import type { Logger, ProcessExit } from '@selvedge/runtime';
import type { ToolClient } from '../ports/tool-client.ts';

export interface ModuleStateOptions {
  name: string;
  tools: ToolClient;
  log: Logger;
  clock: () => Date;
  onChange: (module: Module) => void;
}

/** Of the process of a tool, where this server runs it. */
export interface ModuleProcess {
  readonly pid: number | undefined;
  readonly restarts: number;
  readonly lastExit: ProcessExit | undefined;
}

/** How a tool is, as far as asking it shows. Invariant: every change is announced once. */
export class ModuleState {
  readonly #options: ModuleStateOptions;
  readonly #process: () => ModuleProcess;
  #state: Module['state'] = 'stopped';
  #since: string;
  #busyWith: string | null = null;
  #queued = 0;
  #description: ToolDescription | undefined;
  #announced = '';

  constructor(options: ModuleStateOptions, process: () => ModuleProcess) {
    this.#options = options;
    this.#process = process;
    this.#since = options.clock().toISOString();
  }

  get state(): Module['state'] {
    return this.#state;
  }
  /** What the tool says of itself; undefined until it was healthy once. */
  get description(): ToolDescription | undefined {
    return this.#description;
  }

  describe(): Module {
    const { pid, restarts, lastExit } = this.#process();
    return {
      name: this.#options.name,
      state: this.#state,
      pid: pid ?? null,
      restarts,
      since: this.#since,
      lastExit: lastExit ?? null,
      busyWith: this.#busyWith,
      queued: this.#queued,
      version: this.#description?.version ?? null,
    };
  }

  enter(state: Module['state']): void {
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

  /** What it was at work on is not being worked on. */
  setIdle(): void {
    this.#busyWith = null;
  }

  /** The next good answer may come from other code. */
  forgetDescription(): void {
    this.#description = undefined;
  }

  /** Asks the tool how it is. @returns whether it gave a good answer. */
  async check(signal: AbortSignal): Promise<boolean> {
    const { name, tools, log } = this.#options;
    try {
      const health = await tools.health(name, signal);
      this.#description ??= await tools.describe(name);
      this.#busyWith = health.busyWith;
      this.#queued = health.queued;
      return true;
    } catch (error) {
      if (!signal.aborted) log.debug('no healthy answer from the tool', { error: String(error) });
      return false;
    }
  }
}
