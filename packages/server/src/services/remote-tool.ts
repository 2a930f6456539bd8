import type { Module, ToolDescription } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { ModuleState, type ModuleStateOptions } from './module-state.ts';
import type { ToolDirectory } from './tool-directory.ts';

const HEALTH_INTERVAL_MS = 2000;
/** While it does not answer, so that a tool that comes up later than the server is found soon. */
const DOWN_INTERVAL_MS = 500;
/** A tool that has not answered this often in a row is down. */
const DOWN_AFTER = 2;

export interface RemoteToolOptions extends ModuleStateOptions {
  url: string;
  directory: ToolDirectory;
}

/** A tool that others run: asked for its health; nobody here starts or ends it. */
export class RemoteTool {
  readonly name: string;
  readonly #options: RemoteToolOptions;
  readonly #state: ModuleState;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;

  constructor(options: RemoteToolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#state = new ModuleState(options, () => ({ pid: undefined, restarts: 0, lastExit: undefined }));
  }

  get description(): ToolDescription | undefined {
    return this.#state.description;
  }

  start(): void {
    this.#options.directory.set(this.name, this.#options.url);
    this.#state.enter('starting');
    this.#watching = this.#keepWatch(this.#stopping.signal).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#options.log.error('watching the tool failed', { error: String(error) });
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    this.#options.directory.remove(this.name);
    this.#state.enter('stopped');
  }

  /** Its work cannot be ended from here: the artifact's own `cancel` is all there is. */
  restart(): void {
    this.#options.log.warn('the tool is not run by this server and cannot be restarted by it');
  }

  describe(): Module {
    return this.#state.describe();
  }

  whyDown(): string | undefined {
    if (this.#state.state === 'healthy') return undefined;
    return `The ${this.name} tool does not answer at ${this.#options.url}.`;
  }

  async #keepWatch(signal: AbortSignal): Promise<void> {
    let missed = 0;
    while (!signal.aborted) {
      const up = await this.#state.check(signal);
      if (signal.aborted) return;
      missed = up ? 0 : missed + 1;
      if (up) this.#state.enter('healthy');
      else if (missed >= DOWN_AFTER) {
        this.#state.setIdle();
        this.#state.forgetDescription();
        this.#state.enter('unhealthy');
      }
      await sleep(up ? HEALTH_INTERVAL_MS : DOWN_INTERVAL_MS, signal);
    }
  }
}
