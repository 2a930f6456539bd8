import { AppError, type TransferCounts } from '@selvedge/contract';
import type { VersionRecord } from '../domain/agent-state.ts';
import type { Step, WorkloadState } from '../domain/workload-state.ts';
import type { ModelHost, ModelProcess } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { VersionStore } from '../ports/version-store.ts';
import type { TrafficSource } from './trial-watch.ts';

export interface WorkloadStepsOptions {
  /** The workload's name. */
  name: string;
  store: VersionStore;
  host: ModelHost;
  port: ServingPort;
  /** Called before a process is started; the serving port is open when it resolves. */
  openPort: () => Promise<void>;
  onProgress: (step: Step, doneBytes: number, totalBytes: number) => void;
  onFetched: (key: string, cost: TransferCounts) => void;
  /** A process has ended, wanted or not. */
  onEnd: (key: string, how: string) => void;
  /** The trial proxy has ended, and the version of before has its connections. */
  onProxyEnd: () => void;
  /** Runs the tests of a version on trial. */
  test: (key: string, stable: string | null, signal: AbortSignal) => Promise<void>;
  startProxy: (key: string, stable: string | null, signal: AbortSignal) => Promise<ModelProcess>;
}

const DRAIN_MS = 10_000;
const STOP_GRACE_MS = 2500;
/** A version that failed its trial is given less: its clients are to be with the other one soon. */
const FAILED_DRAIN_MS = 1500;
const FAILED_GRACE_MS = 1000;

function hasFailed({ trial }: WorkloadState, key: string): boolean {
  return trial?.phase === 'failed' && trial.key === key;
}

/** Executes the steps of a plan, and holds the model servers that they start. */
export class WorkloadSteps {
  readonly #options: WorkloadStepsOptions;
  readonly #processes = new Map<string, ModelProcess>();
  readonly #released = new Set<ModelProcess>();
  readonly #endingProxies = new Set<ModelProcess>();
  #proxy: ModelProcess | undefined;

  constructor(options: WorkloadStepsOptions) {
    this.#options = options;
  }

  /** The process of a version, if one runs. */
  process(key: string): ModelProcess | undefined {
    return this.#processes.get(key);
  }

  /** What counts the answers of the version on trial; undefined while it gets no traffic. */
  trafficSource({ mirrored, routed, trial }: WorkloadState): TrafficSource | undefined {
    if (mirrored !== null) return this.#proxy === undefined ? undefined : { process: this.#proxy, isProxy: true };
    const process = trial !== null && routed === trial.key ? this.#processes.get(routed) : undefined;
    return process === undefined ? undefined : { process, isProxy: false };
  }

  /** The versions that have a process. */
  running(): string[] {
    return [...this.#processes.keys()];
  }

  /**
   * @param record - of the step's version; undefined when it is not known.
   * @param state - as it is before the step.
   * @throws AppError as the ports do; WORKLOAD_FAILED (operational) when the process that the step is about has ended.
   */
  async perform(step: Step, record: VersionRecord | undefined, state: WorkloadState, signal: AbortSignal): Promise<void> {
    const { name, store, port, onProgress, test } = this.#options;
    const { key } = step;
    switch (step.kind) {
      case 'fetch':
      case 'verify': {
        if (record === undefined) throw new AppError('INTERNAL', { message: `Version ${key} of ${name} is not known.` });
        if (step.kind === 'verify') return store.verify(name, record, signal);
        const cost = await store.fetch(name, record, (doneBytes, totalBytes) => onProgress(step, doneBytes, totalBytes), signal);
        if (cost !== undefined) this.#options.onFetched(key, cost);
        return;
      }
      case 'start':
        return this.#start(key, record?.native !== undefined, signal);
      case 'probe':
        return this.#need(key).probe(signal);
      case 'test':
        return test(key, state.trial?.stable ?? null, signal);
      case 'mirror':
        return this.#mirror(key, state, signal);
      case 'switch':
        return this.#switch(this.#need(key));
      case 'release':
        return this.#release(key);
      case 'drain':
        if (state.routed === key) {
          port.route(null);
          this.#endProxy();
        }
        return this.#processes.get(key)?.drain(hasFailed(state, key) ? FAILED_DRAIN_MS : DRAIN_MS, signal);
      case 'stop':
        return this.#processes.get(key)?.stop(hasFailed(state, key) ? FAILED_GRACE_MS : STOP_GRACE_MS);
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
    this.#endProxy();
    await Promise.all([...this.#processes.values(), ...this.#endingProxies].map((process) => process.stop(STOP_GRACE_MS)));
  }

  /** The connections go straight to this process. */
  #switch(target: ModelProcess): void {
    this.#options.port.route(target);
    if (this.#released.delete(target)) target.resume();
    this.#endProxy();
  }

  #release(key: string): void {
    const released = this.#need(key);
    this.#released.add(released);
    released.release();
  }

  async #mirror(key: string, state: WorkloadState, signal: AbortSignal): Promise<void> {
    const proxy = await this.#options.startProxy(key, state.trial?.stable ?? null, signal);
    this.#endProxy();
    this.#proxy = proxy;
    this.#options.port.route(proxy);
    // Its clients are to come anew, through the proxy.
    if (state.routed !== null && this.#processes.has(state.routed)) this.#release(state.routed);
    const { routed } = state;
    void proxy.exited.then(() => {
      if (this.#proxy !== proxy) return;
      this.#proxy = undefined;
      const target = routed === null ? undefined : this.#processes.get(routed);
      if (target !== undefined) this.#switch(target);
      this.#options.onProxyEnd();
    });
  }

  /** Lets the proxy finish what it has; nothing happens when there is none. */
  #endProxy(): void {
    const proxy = this.#proxy;
    this.#proxy = undefined;
    if (proxy === undefined) return;
    this.#endingProxies.add(proxy);
    void proxy
      .drain(DRAIN_MS)
      .then(() => proxy.stop(STOP_GRACE_MS))
      .finally(() => this.#endingProxies.delete(proxy));
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
      this.#released.delete(started);
      const how = end.signal ?? `exit code ${end.code ?? 'unknown'}`;
      onEnd(key, end.reason === null ? how : `${how}: ${end.reason}`);
    });
  }
}
