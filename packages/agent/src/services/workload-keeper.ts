import { AppError, type DesiredWorkload, toAppError, type WorkloadReport } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { EMPTY_SAVED_WORKLOAD, type SavedWorkload } from '../domain/agent-state.ts';
import { type Hold, nextStep, wakeAtMs } from '../domain/workload-plan.ts';
import { afterFailedTrial, afterPassedTrial, afterStep, type Step, type WorkloadState } from '../domain/workload-state.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import { RuntimeChoice } from './runtime-choice.ts';
import { UpdateHolds } from './update-holds.ts';
import { WorkloadAddress } from './workload-address.ts';
import { WorkloadFaults } from './workload-faults.ts';
import type { KeeperOptions } from './workload-keeper-options.ts';
import { WorkloadRecords } from './workload-records.ts';
import { buildReport, type StepProgress } from './workload-report.ts';
import { WorkloadSteps } from './workload-steps.ts';
import { WorkloadTrials } from './workload-trials.ts';

/** A version that served this long before it ended was not broken: its count of failures starts anew. */
const STABLE_MS = 60_000;
/** After an error that no version is to blame for, such as a state that could not be saved. */
const RETRY_MS = 5000;
/** A trial whose proxy does not start so often cannot be held. */
const MAX_PROXY_STARTS = 3;

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
  readonly #records: WorkloadRecords;
  readonly #steps: WorkloadSteps;
  readonly #address: WorkloadAddress;
  readonly #faults: WorkloadFaults;
  readonly #choice: RuntimeChoice;
  readonly #holds: UpdateHolds;
  readonly #trials: WorkloadTrials;
  #state: WorkloadState;
  #current: StepProgress | null = null;
  #currentAbort: AbortController | undefined;
  /** Since when the routed version serves: by the steady clock, and by the time. */
  #servingSince: { atMs: number; timeMs: number } | null = null;
  #restarts = 0;
  #loop: Promise<void> | undefined;
  #again = false;
  /** What a verdict changed is not on disk yet. */
  #unsaved = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #restart = false;

  constructor(options: KeeperOptions, saved: SavedWorkload = EMPTY_SAVED_WORKLOAD) {
    this.#options = options;
    const { name, store, host, port, clock, time, backoff, onSave } = options;
    const log = options.log.child({ workload: name });
    this.#address = new WorkloadAddress({ port, log, clock, time, backoff });
    this.#faults = new WorkloadFaults({ backoff, clock, time, log });
    this.#choice = new RuntimeChoice(options.targets, log);
    this.#records = new WorkloadRecords(saved, onSave, log);
    this.#steps = new WorkloadSteps({
      name,
      store,
      host,
      port,
      openPort: () => this.#openPort(),
      onProgress: (step, doneBytes, totalBytes) => this.#progress(step, doneBytes, totalBytes),
      onFetched: (key, cost) => this.#records.fetched(key, cost),
      onEnd: (key, how) => this.#ended(key, how),
      onProxyEnd: () => this.#proxyEnded(),
      test: (key, stable, signal) => this.#trials.test(key, stable, signal),
      startProxy: (key, stable, signal) => this.#trials.startProxy(key, stable, signal),
    });
    this.#holds = new UpdateHolds(options.holds, log);
    this.#trials = this.#makeTrials(saved, log);
    this.#state = {
      versions: saved.versions.map(({ key }) => ({ key, disk: 'unverified', process: 'none' })),
      routed: null,
      lastServed: saved.lastServed,
      previous: saved.previous,
      failures: [],
      trial: null,
      mirrored: null,
    };
  }

  /** Changes what is wanted; null: the workload is to go away. */
  setDesired(desired: DesiredWorkload | null): void {
    const before = this.#desiredKey();
    this.#desired = desired;
    const key = this.#desiredKey();
    if (before !== key) {
      this.#faults.clear();
      // A download or a probe of a version that nobody wants any more need not be waited for.
      if (this.#current?.step.key === before && ['fetch', 'probe', 'test'].includes(this.#current.step.kind)) this.#currentAbort?.abort();
    }
    this.wake();
    this.#options.onChange();
  }

  /** The server is reachable again: what failed for want of it is tried at once. */
  retryNetwork(): void {
    const state = this.#faults.afterReconnection(this.#state);
    if (state === undefined) return;
    this.#state = state;
    this.wake();
  }

  /** Drains and stops what serves; that it is started again is the planner's doing. False when nothing serves. */
  restart(): boolean {
    if (this.#state.routed === null) return false;
    this.#restart = true;
    this.wake();
    return true;
  }

  wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#again = true;
    this.#loop ??= this.#run()
      .catch((error: unknown) => {
        this.#options.log.error('the workload could not be brought further', { workload: this.#options.name, ...describeError(error) });
        this.#timer = setTimeout(() => this.wake(), RETRY_MS);
      })
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
    this.#trials.stop();
    const stopping = this.#steps.stopAll();
    await this.#address.close();
    await Promise.all([stopping, this.#loop]);
    await this.#steps.stopAll(); // what the last step started meanwhile
  }

  saved(): SavedWorkload {
    return this.#records.saved;
  }

  /** The process that answers requests now. */
  serving(): ModelProcess | undefined {
    return this.#state.routed === null ? undefined : this.#steps.process(this.#state.routed);
  }

  /** undefined while the workload is going away and was never reported with a desired version. */
  report(): WorkloadReport | undefined {
    const desiredKey = this.#desiredKey();
    const fault = this.#faults.fault ?? this.#trials.failureOf(this.#desired?.trial?.id) ?? this.#address.fault;
    return buildReport({
      name: this.#options.name,
      desired: this.#desired,
      desiredKey,
      records: this.#records.all,
      state: this.#state,
      port: this.#address.open,
      current: this.#current,
      fault: fault === null ? null : { key: desiredKey ?? '', ...fault },
      restarts: this.#restarts,
      servingSinceMs: this.#servingSince?.timeMs ?? null,
      nativeError: this.#choice.refusal(this.#desired),
      trial: this.#trials.report(),
      held: this.#holds.held,
      transfer: this.#records.transferOf(desiredKey),
    });
  }

  #desiredKey(): string | null {
    return this.#desired === null ? null : this.#choice.choose(this.#desired).key;
  }

  async #run(): Promise<void> {
    let nowMs = this.#options.clock();
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.#movePort();
      for (;;) {
        nowMs = this.#options.clock();
        if (this.#unsaved) await this.#save();
        const key = this.#desiredKey();
        const step = this.#next(key, nowMs, await this.#look());
        if (step === undefined) break;
        await this.#execute(step);
      }
      if (this.#desired === null && !this.#stopped) await this.#leave();
    }
    if (this.#stopped) return;
    // Asked of the moment at which there was nothing to do: by a later one a rest may just be over, and nobody would wake.
    const heldMs = this.#holds.lookAgainInMs;
    const times = [wakeAtMs(this.#state, nowMs), this.#address.retryAtMs, heldMs === null ? undefined : nowMs + heldMs];
    const wakeAt = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    if (Number.isFinite(wakeAt)) this.#timer = setTimeout(() => this.wake(), Math.max(0, wakeAt - this.#options.clock()));
  }

  /** What may not be done now; brings the trial in line with what is desired. */
  async #look(): Promise<Hold> {
    if (this.#desired !== null) this.#records.set(this.#choice.choose(this.#desired));
    this.#state = this.#trials.follow(this.#state, this.#desired, this.#desiredKey());
    const before = this.#holds.held?.message;
    const hold = await this.#holds.look(this.#desired, this.#desiredKey(), this.#state, this.#options.time());
    if (this.#holds.held?.message !== before) this.#options.onChange();
    return hold;
  }

  /** Undefined as well when something else is desired than what `hold` was found for; it is looked again then. */
  #next(key: string | null, nowMs: number, hold: Hold): Step | undefined {
    const { routed } = this.#state;
    if (this.#restart && routed !== null && !this.#stopped) {
      this.#restart = false;
      return { kind: 'drain', key: routed };
    }
    return this.#stopped || key !== this.#desiredKey() ? undefined : nextStep(key, this.#state, nowMs, hold);
  }

  async #execute(step: Step): Promise<void> {
    const abort = new AbortController();
    this.#currentAbort = abort;
    this.#current = { step, progress: null };
    this.#options.onChange();
    try {
      await this.#trials.beforeTraffic(step, this.#state);
      await this.#steps.perform(step, this.#records.all.get(step.key), this.#state, abort.signal);
      if (this.#stopped || abort.signal.aborted) return;
      this.#state = this.#stillTrue(step) ? afterStep(this.#state, step) : this.#state;
      this.#state = this.#trials.makeRoom(this.#state);
      await this.#trials.attend(this.#state);
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
    return !['start', 'probe', 'test', 'mirror', 'switch', 'release'].includes(step.kind) || this.#steps.process(step.key) !== undefined;
  }

  #progress(step: Step, doneBytes: number, totalBytes: number): void {
    this.#current = { step, progress: { doneBytes, totalBytes } };
    this.#options.onChange();
  }

  async #openPort(): Promise<void> {
    await this.#address.ensure(this.#desired?.servingPort ?? 0, this.#records.saved.port);
    await this.#save();
  }

  /** A process ended. If nobody asked for it, that is a failure of its version. */
  #ended(key: string, how: string): void {
    if (this.#stopped) return;
    const known = this.#state.versions.find((version) => version.key === key);
    const asked = this.#current?.step.key === key && ['stop', 'drain'].includes(this.#current.step.kind);
    // A start or a probe notices the end itself, with the reason that the process gave.
    const noticed = this.#current?.step.key === key && ['start', 'probe', 'test'].includes(this.#current.step.kind);
    if (asked || noticed || known === undefined || known.process === 'none' || known.process === 'drained') return;
    const wasRouted = this.#state.routed === key;
    if (wasRouted) this.#options.port.route(null);
    this.#restarts += 1;
    const servedMs = wasRouted && this.#servingSince !== null ? this.#options.clock() - this.#servingSince.atMs : 0;
    this.#rest(key, new AppError('WORKLOAD_FAILED', { message: `The model server ended with ${how}.` }), servedMs >= STABLE_MS, true);
    this.wake();
  }

  /** @param isCrash - its process is at fault, not its files or its tests. */
  #rest(key: string, error: AppError, startAnew: boolean, isCrash: boolean): void {
    this.#state = this.#faults.rest(this.#state, key, error, startAnew);
    const hasOther = this.#desired !== null && this.#choice.hasOther(this.#desired, key) && this.#state.trial?.phase !== 'running';
    if (!hasOther && this.#trials.faulted(this.#state, key, error, isCrash)) {
      this.#state = afterFailedTrial(this.#state);
      this.#noteFailure(key);
    }
    // What only stands ready to go back to is no fault of what serves.
    if (key !== this.#desiredKey() && this.#state.routed !== null && this.#state.routed === this.#desiredKey()) this.#faults.clear();
    const attempts = this.#state.failures.find((failure) => failure.key === key)?.attempts ?? 0;
    this.#choice.failed(this.#desired, key, error, attempts);
    if (this.#state.routed === null) this.#servingSince = null;
    this.#options.onChange();
  }

  async #failed(step: Step, error: AppError): Promise<void> {
    if (step.kind === 'stop' || step.kind === 'collect' || step.kind === 'drain') {
      // What is to go away and does not: said, and taken as gone, or it would hold up everything else.
      this.#options.log.error('a version could not be removed', { workload: this.#options.name, step: step.kind, error: error.message });
      this.#state = afterStep(this.#state, step);
      return;
    }
    await this.#steps.drop(step.key);
    const isRepeated = (this.#state.failures.find((failure) => failure.key === step.key)?.attempts ?? 0) >= MAX_PROXY_STARTS;
    if (step.kind === 'mirror' && !isRepeated) this.#state = this.#faults.rest(this.#state, step.key, error, false);
    else this.#rest(step.key, error, false, ['start', 'probe'].includes(step.kind));
    if (error.code !== 'DIGEST_MISMATCH') return;
    await this.#options.store.collect(this.#options.name, step.key);
    await this.#save();
  }

  async #reached(step: Step): Promise<void> {
    const { name, log, store, clock, time } = this.#options;
    const { key } = step;
    log.debug('step done', { workload: name, step: step.kind, key });
    if (step.kind === 'fetch') this.#state = this.#faults.afterFetch(this.#state, key);
    if (step.kind === 'switch' && this.#state.routed === key) {
      this.#servingSince = { atMs: clock(), timeMs: time() };
      if (key === this.#desiredKey()) this.#faults.clear();
      log.info('serving', { workload: name, version: this.#records.all.get(key)?.version, port: this.#address.open });
      await store.sweep(
        name,
        [key, this.#desiredKey(), this.#state.previous, ...this.#steps.running()].filter((kept) => kept !== null),
      );
    }
    if (['fetch', 'test', 'mirror', 'switch', 'collect'].includes(step.kind)) await this.#save();
  }

  /** Follows a change of the desired serving port. */
  async #movePort(): Promise<void> {
    if (!(await this.#address.move(this.#desired?.servingPort ?? 0))) return;
    this.#options.onChange();
    await this.#save();
  }

  async #leave(): Promise<void> {
    const { name, store, onGone } = this.#options;
    await this.#address.close();
    await store.sweep(name, []);
    if (this.#desired === null) onGone();
  }

  #save(): Promise<void> {
    this.#unsaved = false;
    return this.#records.save(this.#state, this.#address.open, this.#desiredKey(), this.#trials.saved());
  }

  #makeTrials(saved: SavedWorkload, log: Logger): WorkloadTrials {
    const { name, means, clock, time, onChange } = this.#options;
    const onKeep = () => {
      this.#unsaved = true;
      this.wake();
    };
    return new WorkloadTrials(
      {
        name,
        means,
        process: (key) => this.#steps.process(key),
        source: () => this.#steps.trafficSource(this.#state),
        versionOf: (key) => this.#records.all.get(key)?.version,
        clock,
        time,
        log,
        onVerdict: (outcome) => this.#judged(outcome),
        onChange,
        onKeep,
      },
      saved,
    );
  }

  #judged(outcome: 'passed' | 'failed'): void {
    if (this.#stopped || this.#state.trial === null) return;
    const { key } = this.#state.trial;
    this.#state = outcome === 'failed' ? afterFailedTrial(this.#state) : afterPassedTrial(this.#state);
    this.#noteFailure(key);
    // Nothing that can wait may stand before the way back.
    if (['drain', 'fetch'].includes(this.#current?.step.kind ?? '')) this.#currentAbort?.abort();
    this.wake();
  }

  #noteFailure(key: string): void {
    const failure = this.#trials.failureOf(this.#desired?.trial?.id);
    if (failure !== null) this.#faults.note(key, failure.code, failure.message);
    this.#unsaved = true;
  }

  #proxyEnded(): void {
    if (this.#stopped || this.#state.mirrored === null) return;
    this.#options.log.error('the trial proxy has ended; the version of before is reached directly', { workload: this.#options.name });
    this.#state = { ...this.#state, mirrored: null };
    this.wake();
  }
}
