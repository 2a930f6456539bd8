import { AppError } from '@selvedge/contract';
import type { VersionRecord } from '../domain/agent-state.ts';
import type { Step } from '../domain/workload-state.ts';
import type { ModelHost, ModelProcess } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { VersionStore } from '../ports/version-store.ts';

export interface WorkloadStepsOptions {
  /** The workload's name. */
  name: string;
  store: VersionStore;
  host: ModelHost;
  port: ServingPort;
  /** Called before a process is started; the serving port is open when it resolves. */
  openPort: () => Promise<void>;
  onProgress: (step: Step, doneBytes: number, totalBytes: number) => void;
  /** A process has ended, wanted or not. */
  onEnd: (key: string, how: string) => void;
}

const DRAIN_MS = 10_000;
const STOP_GRACE_MS = 2500;

/** Executes the steps of a plan, and holds the model servers that they start. */
export class WorkloadSteps {
  readonly #options: WorkloadStepsOptions;
  readonly #processes = new Map<string, ModelProcess>();

  constructor(options: WorkloadStepsOptions) {
    this.#options = options;
  }

  /** The process of a version, if one runs. */
  process(key: string): ModelProcess | undefined {
    return this.#processes.get(key);
  }

  /** The versions that have a process. */
  running(): string[] {
    return [...this.#processes.keys()];
  }

  /**
   * @param record - of the step's version; undefined when it is not known.
   * @param routed - the version that gets the traffic now.
   * @throws AppError as the ports do; WORKLOAD_FAILED (operational) when the process that the step is about has ended.
   */
  async perform(step: Step, record: VersionRecord | undefined, routed: string | null, signal: AbortSignal): Promise<void> {
    const { name, store, port, onProgress } = this.#options;
    const { key } = step;
    switch (step.kind) {
      case 'fetch':
      case 'verify': {
        if (record === undefined) throw new AppError('INTERNAL', { message: `Version ${key} of ${name} is not known.` });
        if (step.kind === 'verify') return store.verify(name, record, signal);
        return store.fetch(name, record, (doneBytes, totalBytes) => onProgress(step, doneBytes, totalBytes), signal);
      }
      case 'start':
        return this.#start(key, record?.native !== undefined, signal);
      case 'probe':
        return this.#need(key).probe(signal);
      case 'switch':
        return port.route(this.#need(key));
      case 'drain':
        if (routed === key) port.route(null);
        return this.#processes.get(key)?.drain(DRAIN_MS);
      case 'stop':
        return this.#processes.get(key)?.stop(STOP_GRACE_MS);
      case 'collect':
        return store.collect(name, key);
    }
  }

  /** Ends the process of a version that failed; nothing happens when there is none. `onEnd` is called for it as well. */
  async drop(key: string): Promise<void> {
    const running = this.#processes.get(key);
    this.#processes.delete(key);
    await running?.stop(STOP_GRACE_MS);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process.stop(STOP_GRACE_MS)));
  }

  #need(key: string): ModelProcess {
    const found = this.#processes.get(key);
    if (found === undefined) throw new AppError('WORKLOAD_FAILED', { message: 'The model server ended.' });
    return found;
  }

  async #start(key: string, isNative: boolean, signal: AbortSignal): Promise<void> {
    const { name, host, store, openPort, onEnd } = this.#options;
    await openPort();
    const started = await host.start({ name: `${name} ${key}`, folder: store.folder(name, key), isNative }, signal);
    this.#processes.set(key, started);
    void started.exited.then((end) => {
      if (this.#processes.get(key) === started) this.#processes.delete(key);
      onEnd(key, end.signal ?? `exit code ${end.code ?? 'unknown'}`);
    });
  }
}
