import { AppError, type DesiredWorkload, toAppError, type WorkloadReport } from '@selvedge/contract';
import { type Backoff, backoffDelayMs, describeError, type Logger } from '@selvedge/runtime';
import { EMPTY_SAVED_WORKLOAD, type SavedWorkload, type VersionRecord } from '../domain/agent-state.ts';
import { versionKey } from '../domain/version-key.ts';
import {
  afterFailure,
  afterStep,
  nextStep,
  type Step,
  type WorkloadState,
  wakeAtMs,
  withoutFailure,
  withoutWaiting,
} from '../domain/workload-plan.ts';
import type { ModelHost, ModelProcess } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { VersionStore } from '../ports/version-store.ts';
import { WorkloadAddress } from './workload-address.ts';
import { buildReport, type StepProgress, type WorkloadFault } from './workload-report.ts';

export interface KeeperOptions {
  name: string;
  store: VersionStore;
  host: ModelHost;
  port: ServingPort;
  log: Logger;
  /** Unix milliseconds. */
  clock: () => number;
  /** Delays after failures of a version. */
  backoff: Backoff;
  /** The report has changed. */
  onChange: () => void;
  /** What `saved()` returns has changed; resolves when it is on disk. */
  onSave: () => Promise<void>;
  /** The workload is gone: stopped, collected, port closed. */
  onGone: () => void;
}

/** A version that served this long before it ended was not broken: its count of failures starts anew. */
const STABLE_MS = 60_000;
const DRAIN_MS = 10_000;
const STOP_GRACE_MS = 2500;
/** Failures that the next connection to the server may cure. */
const NETWORK_CODES: readonly string[] = ['SERVER_UNREACHABLE', 'DOWNLOAD_FAILED', 'NOT_FOUND', 'FORBIDDEN'];

/**
 * Keeps one workload as desired: asks the planner for a step, executes it, and again, until there is nothing to do. It
 * wakes when the desired version changes, a process ends, a rest is over or the server is back.
 *
 * Invariants: one step at a time; what a step has reached is on disk before the next begins, so that a restart goes on
 * from there; a version whose bytes are not the ordered ones is thrown away and never started.
 */
export class WorkloadKeeper {
  readonly #options: KeeperOptions;
  #desired: DesiredWorkload | null = null;
  #records = new Map<string, VersionRecord>();
  #state: WorkloadState;
  #saved: SavedWorkload;
  readonly #processes = new Map<string, ModelProcess>();
  readonly #address: WorkloadAddress;
  #fault: WorkloadFault | null = null;
  #current: StepProgress | null = null;
  #currentAbort: AbortController | undefined;
  #servingSinceMs: number | null = null;
  #restarts = 0;
  #loop: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: KeeperOptions, saved: SavedWorkload = EMPTY_SAVED_WORKLOAD) {
    this.#options = options;
    this.#saved = saved;
    this.#address = new WorkloadAddress(options.port, options.log);
    this.#records = new Map(saved.versions.map((record) => [record.key, record]));
    this.#state = {
      versions: saved.versions.map(({ key }) => ({ key, disk: 'unverified', process: 'none' })),
      routed: null,
      lastServed: saved.lastServed,
      previous: saved.previous,
      failures: [],
    };
  }

  /** Changes what is wanted; null: the workload is to go away. */
  setDesired(desired: DesiredWorkload | null): void {
    const before = this.#desiredKey();
    this.#desired = desired;
    const key = this.#desiredKey();
    if (desired !== null && key !== null) {
      this.#records.set(key, { key, model: desired.model, version: desired.version, manifest: desired.manifest });
    }
    if (before !== key) {
      this.#fault = null;
      // A download or a probe of a version that nobody wants any more need not be waited for.
      if (this.#current?.step.key === before && ['fetch', 'probe'].includes(this.#current.step.kind)) this.#currentAbort?.abort();
    }
    this.wake();
    this.#options.onChange();
  }

  /** The server is reachable again: what failed for want of it is tried at once. */
  retryNetwork(): void {
    const key = this.#fault?.key;
    if (key === undefined || !NETWORK_CODES.includes(this.#fault?.code ?? '')) return;
    this.#state = withoutWaiting(this.#state, [key]);
    this.wake();
  }

  wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#again = true;
    this.#loop ??= this.#run()
      .catch((error: unknown) =>
        this.#options.log.error('the workload could not be brought further', { workload: this.#options.name, ...describeError(error) }),
      )
      .finally(() => {
        this.#loop = undefined;
        if (this.#again) this.wake();
      });
  }

  /** Ends every process of this workload; what is on disk stays. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#currentAbort?.abort();
    const stopping = [...this.#processes.values()].map((process) => process.stop(STOP_GRACE_MS));
    await this.#address.close();
    await Promise.all([...stopping, this.#loop]);
    await Promise.all([...this.#processes.values()].map((process) => process.stop(STOP_GRACE_MS)));
  }

  saved(): SavedWorkload {
    return this.#saved;
  }

  /** The process that answers requests now. */
  serving(): ModelProcess | undefined {
    return this.#state.routed === null ? undefined : this.#processes.get(this.#state.routed);
  }

  /** undefined while the workload is going away and was never reported with a desired version. */
  report(): WorkloadReport | undefined {
    return buildReport({
      name: this.#options.name,
      desired: this.#desired,
      desiredKey: this.#desiredKey(),
      records: this.#records,
      state: this.#state,
      port: this.#address.open,
      current: this.#current,
      fault: this.#fault,
      restarts: this.#restarts,
      servingSinceMs: this.#servingSinceMs,
    });
  }

  #desiredKey(): string | null {
    return this.#desired === null ? null : versionKey(this.#desired.version, this.#desired.manifest.sha256);
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.#movePort();
      for (let step = this.#next(); step !== undefined; step = this.#next()) await this.#execute(step);
      if (this.#desired === null && !this.#stopped) await this.#leave();
    }
    if (this.#stopped) return;
    const now = this.#options.clock();
    const wakeAt = wakeAtMs(this.#state, now);
    if (wakeAt !== undefined) this.#timer = setTimeout(() => this.wake(), wakeAt - now);
  }

  #next(): Step | undefined {
    return this.#stopped ? undefined : nextStep(this.#desiredKey(), this.#state, this.#options.clock());
  }

  async #execute(step: Step): Promise<void> {
    const abort = new AbortController();
    this.#currentAbort = abort;
    this.#current = { step, progress: null };
    this.#options.onChange();
    try {
      await this.#perform(step, abort.signal);
      if (this.#stopped) return;
      this.#state = this.#stillTrue(step) ? afterStep(this.#state, step) : this.#state;
      await this.#reached(step);
    } catch (error) {
      if (!abort.signal.aborted && !this.#stopped) await this.#failed(step, toAppError(error));
    } finally {
      this.#current = null;
      this.#currentAbort = undefined;
      this.#options.onChange();
    }
  }

  /** A process may end in the very moment in which a step on it succeeds; its end counts. */
  #stillTrue(step: Step): boolean {
    return !['start', 'probe', 'switch'].includes(step.kind) || this.#processes.has(step.key);
  }

  #need(key: string): ModelProcess {
    const found = this.#processes.get(key);
    if (found === undefined) throw new AppError('WORKLOAD_FAILED', { message: 'The model server ended.' });
    return found;
  }

  async #perform(step: Step, signal: AbortSignal): Promise<void> {
    const { name, store, port } = this.#options;
    const { key } = step;
    const record = this.#records.get(key);
    switch (step.kind) {
      case 'fetch':
      case 'verify': {
        if (record === undefined) throw new AppError('INTERNAL', { message: `Version ${key} of ${name} is not known.` });
        if (step.kind === 'verify') return store.verify(name, record, signal);
        return store.fetch(name, record, (doneBytes, totalBytes) => this.#progress(step, doneBytes, totalBytes), signal);
      }
      case 'start':
        return this.#start(key, signal);
      case 'probe':
        return this.#need(key).probe(signal);
      case 'switch':
        return port.route(this.#need(key));
      case 'drain':
        if (this.#state.routed === key) port.route(null);
        return this.#processes.get(key)?.drain(DRAIN_MS);
      case 'stop':
        return this.#processes.get(key)?.stop(STOP_GRACE_MS);
      case 'collect':
        return store.collect(name, key);
    }
  }

  #progress(step: Step, doneBytes: number, totalBytes: number): void {
    this.#current = { step, progress: { doneBytes, totalBytes } };
    this.#options.onChange();
  }

  async #start(key: string, signal: AbortSignal): Promise<void> {
    const { name, host, store } = this.#options;
    await this.#address.ensure(this.#desired?.servingPort ?? 0, this.#saved.port);
    await this.#save();
    const started = await host.start(`${name} ${key}`, store.folder(name, key), signal);
    this.#processes.set(key, started);
    void started.exited.then((end) => this.#ended(key, started, end.signal ?? `exit code ${end.code ?? 'unknown'}`));
  }

  /** A process ended. If nobody asked for it, that is a failure of its version. */
  #ended(key: string, ended: ModelProcess, how: string): void {
    if (this.#processes.get(key) === ended) this.#processes.delete(key);
    if (this.#stopped) return;
    const known = this.#state.versions.find((version) => version.key === key);
    const asked = this.#current?.step.key === key && ['stop', 'drain'].includes(this.#current.step.kind);
    // A start or a probe notices the end itself, with the reason that the process gave.
    const noticed = this.#current?.step.key === key && ['start', 'probe'].includes(this.#current.step.kind);
    if (asked || noticed || known === undefined || known.process === 'none' || known.process === 'drained') return;
    const wasRouted = this.#state.routed === key;
    if (wasRouted) this.#options.port.route(null);
    this.#restarts += 1;
    const servedMs = wasRouted && this.#servingSinceMs !== null ? this.#options.clock() - this.#servingSinceMs : 0;
    this.#rest(key, new AppError('WORKLOAD_FAILED', { message: `The model server ended with ${how}.` }), servedMs >= STABLE_MS);
    this.wake();
  }

  /** Marks a version as failed and lets it rest. */
  #rest(key: string, error: AppError, startAnew: boolean): void {
    const { log, name, clock, backoff } = this.#options;
    const before = startAnew ? 0 : (this.#state.failures.find((failure) => failure.key === key)?.attempts ?? 0);
    const delayMs = backoffDelayMs(before + 1, backoff);
    const filesLost = error.code === 'DIGEST_MISMATCH';
    this.#state = afterFailure(this.#state, { key, attempts: before + 1, retryAtMs: clock() + delayMs }, filesLost);
    if (this.#state.routed === null) this.#servingSinceMs = null;
    this.#fault = { key, code: error.code, message: error.message, at: new Date(clock()).toISOString() };
    log.warn('a version cannot be served; it rests', {
      workload: name,
      key,
      code: error.code,
      error: error.message,
      retryInMs: Math.round(delayMs),
    });
    this.#options.onChange();
  }

  async #failed(step: Step, error: AppError): Promise<void> {
    if (step.kind === 'stop' || step.kind === 'collect' || step.kind === 'drain') {
      // What is to go away and does not: said, and taken as gone, or it would hold up everything else.
      this.#options.log.error('a version could not be removed', { workload: this.#options.name, step: step.kind, error: error.message });
      this.#state = afterStep(this.#state, step);
      return;
    }
    const running = this.#processes.get(step.key);
    this.#processes.delete(step.key);
    await running?.stop(STOP_GRACE_MS);
    this.#rest(step.key, error, false);
    if (error.code !== 'DIGEST_MISMATCH') return;
    await this.#options.store.collect(this.#options.name, step.key);
    await this.#save();
  }

  async #reached(step: Step): Promise<void> {
    const { name, log, store, clock } = this.#options;
    const { key } = step;
    log.debug('step done', { workload: name, step: step.kind, key });
    if (step.kind === 'fetch' && this.#fault?.key === key && NETWORK_CODES.includes(this.#fault.code)) {
      this.#state = withoutFailure(this.#state, key);
      this.#fault = null;
    }
    if (step.kind === 'switch' && this.#state.routed === key) {
      this.#servingSinceMs = clock();
      if (key === this.#desiredKey()) this.#fault = null;
      log.info('serving', { workload: name, version: this.#records.get(key)?.version, port: this.#address.open });
      await store.sweep(
        name,
        [key, this.#desiredKey(), this.#state.previous, ...this.#processes.keys()].filter((kept) => kept !== null),
      );
    }
    if (['fetch', 'switch', 'collect'].includes(step.kind)) await this.#save();
  }

  /** Follows a change of the desired serving port. */
  async #movePort(): Promise<void> {
    try {
      if (await this.#address.move(this.#desired?.servingPort ?? 0)) await this.#save();
    } catch (error) {
      const { code, message } = toAppError(error);
      this.#fault = { key: this.#desiredKey() ?? '', code, message, at: new Date(this.#options.clock()).toISOString() };
    }
  }

  async #leave(): Promise<void> {
    const { name, store, onGone } = this.#options;
    await this.#address.close();
    await store.sweep(name, []);
    if (this.#desired === null) onGone();
  }

  async #save(): Promise<void> {
    const onDisk = this.#state.versions.filter((version) => version.disk !== 'absent').map((version) => version.key);
    const versions = [...this.#records.values()].filter((record) => onDisk.includes(record.key));
    const next = {
      port: this.#address.open ?? this.#saved.port,
      lastServed: this.#state.lastServed,
      previous: this.#state.previous,
      versions,
    };
    for (const key of this.#records.keys()) if (!onDisk.includes(key) && key !== this.#desiredKey()) this.#records.delete(key);
    const before = this.#saved;
    if (JSON.stringify(next) === JSON.stringify(before)) return;
    this.#saved = next;
    try {
      await this.#options.onSave();
    } catch (error) {
      // What serves goes on serving; the next save writes this too.
      this.#saved = before;
      this.#options.log.error('the state could not be saved', { workload: this.#options.name, ...describeError(error) });
    }
  }
}
