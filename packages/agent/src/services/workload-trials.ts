import { AppError, type DesiredWorkload, type Trial, type TrialReport } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { SavedWorkload } from '../domain/agent-state.ts';
import { addTraffic, NO_TRAFFIC, type Traffic, total } from '../domain/histogram.ts';
import { parseModelMetrics } from '../domain/model-metrics.ts';
import { type TrialRecord, trialReportOf } from '../domain/trial-record.ts';
import { describeBroken, judgeTrial, type TrialVerdict } from '../domain/trial-verdict.ts';
import { type Step, type TrialState, versionOf, type WorkloadState } from '../domain/workload-state.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import type { TrialMeans } from '../ports/trial-means.ts';
import type { TrafficSource, TrialWatch } from './trial-watch.ts';

export interface WorkloadTrialsOptions {
  /** The workload's name. */
  name: string;
  means: TrialMeans;
  process: (key: string) => ModelProcess | undefined;
  /** What counts the answers of the version on trial. */
  source: () => TrafficSource | undefined;
  versionOf: (key: string) => string | undefined;
  /** Milliseconds that nobody sets. */
  clock: () => number;
  /** What time it is, Unix milliseconds. */
  time: () => number;
  log: Logger;
  /** A gate broke, or the trial is over. */
  onVerdict: (outcome: 'passed' | 'failed') => void;
  onChange: () => void;
  /** What `saved` gives has grown. */
  onKeep: () => void;
}

/** Faults that say nothing about the version: it is tried again. */
const OUTER_CODES: readonly string[] = [
  'SERVER_UNREACHABLE',
  'DOWNLOAD_FAILED',
  'RATE_LIMITED',
  'NOT_FOUND',
  'FORBIDDEN',
  'DISK_FULL',
  'DIGEST_MISMATCH',
  'PORT_IN_USE',
  'INTERNAL',
];
/** A version of before is compared with by what it answered since its start, if it was so many requests; else by what is kept of it. */
const BASELINE_REQUESTS = 50;
/** Memory that has to be free for the version of before to be kept beside the new one. */
const RESERVE_BYTES = 48 * 2 ** 20;
const MAX_FAILED = 50;
const MAX_PROFILES = 4;
/** Numbers of a trial that runs are told, and kept, this often, in looks (one a second). */
const TELL_EVERY = 10;
const KEEP_EVERY = 30;
/** A version on trial is taken for hanging sooner than others. */
const CLOSE_LIMITS = { pingEveryMs: 1000, pingTimeoutMs: 3000 };
const LEAST_REQUEST_TIMEOUT_MS = 10_000;

/**
 * The trials of one workload: begins them, gathers what is observed, and judges.
 *
 * Invariant: the trial of an id that failed is never begun again.
 */
export class WorkloadTrials {
  readonly #options: WorkloadTrialsOptions;
  #trial: Trial | null = null;
  #record: TrialRecord | null;
  #told: TrialReport | null;
  #failed: string[];
  #profiles: Record<string, Traffic>;
  #watch: TrialWatch | undefined;
  #watched: ModelProcess | undefined;
  #looks = 0;
  #finishedMs: number | null = null;

  constructor(options: WorkloadTrialsOptions, saved: SavedWorkload) {
    this.#options = options;
    this.#record = saved.trial ?? null;
    this.#failed = saved.failedTrials ?? [];
    this.#profiles = saved.profiles ?? {};
    this.#told = this.#record === null ? null : trialReportOf(this.#record);
  }

  saved(): Pick<SavedWorkload, 'trial' | 'failedTrials' | 'profiles'> {
    return {
      ...(this.#record === null ? {} : { trial: this.#record }),
      ...(this.#failed.length === 0 ? {} : { failedTrials: this.#failed }),
      ...(Object.keys(this.#profiles).length === 0 ? {} : { profiles: this.#profiles }),
    };
  }

  /** The trial under way, or the last one. */
  report(): TrialReport | null {
    return this.#told;
  }

  /** Why the version is not to serve; null unless its trial has failed. */
  failureOf(id: string | undefined): (NonNullable<TrialReport['failure']> & { at: string }) | null {
    const record = this.#record;
    if (id === undefined || record?.id !== id || record.failure === null) return null;
    return { ...record.failure, at: record.finishedAt ?? record.startedAt };
  }

  /** Brings the state in line with the trial that is ordered for the desired version. */
  follow(state: WorkloadState, desired: DesiredWorkload | null, key: string | null): WorkloadState {
    const trial = desired?.trial;
    if (desired === null || trial === undefined || key === null) {
      this.#abandon();
      return state.trial === null ? state : { ...state, trial: null };
    }
    this.#trial = trial;
    if (state.trial?.id === trial.id && state.trial.key === key) return state;
    this.#stopWatching();
    if (this.#record?.id === trial.id) return { ...state, trial: this.#resume(this.#record, key) };
    const served = state.lastServed === key ? state.previous : state.lastServed;
    const stable = served !== null && versionOf(state, served).disk !== 'absent' ? served : null;
    if (this.#failed.includes(trial.id)) {
      return { ...state, trial: { id: trial.id, key, stable, mode: 'serve', phase: 'failed', isWarm: false } };
    }
    const isServed = state.lastServed === key;
    const mode = stable === null ? 'serve' : trial.mode;
    const phase = isServed ? 'passed' : trial.golden === undefined ? 'ready' : 'preparing';
    this.#begin({ id: trial.id, version: desired.version, key, stable: isServed ? null : stable, mode, phase });
    return { ...state, trial: { id: trial.id, key, stable: isServed ? null : stable, mode, phase, isWarm: true } };
  }

  /** To be called after each change of the state: watches while a trial runs, and notes when the version of before has its traffic back. */
  async attend(state: WorkloadState): Promise<void> {
    const { trial } = state;
    if (trial === null || this.#record?.id !== trial.id) return this.#stopWatching();
    if (this.#record.phase !== trial.phase) {
      this.#update({ phase: trial.phase });
      this.#tell();
    }
    if (trial.phase !== 'running') this.#stopWatching();
    else {
      if (this.#watch === undefined) await this.#startWatching(trial.key);
      this.#watchClosely(trial.key);
    }
    if (trial.phase === 'failed' && this.#record.revertedInMs === null && this.#isBack(state, trial)) {
      const { clock, time } = this.#options;
      // After a restart only the time of day tells when that was.
      const finishedMs = Date.parse(this.#record.finishedAt ?? this.#record.startedAt);
      const passedMs = this.#finishedMs === null ? time() - finishedMs : clock() - this.#finishedMs;
      this.#update({ revertedInMs: Math.max(0, passedMs) });
      this.#tell();
      this.#options.onKeep();
    }
  }

  /** Before the version gets traffic: what the one of before answered so far is what it is compared with. */
  async beforeTraffic(step: Step, state: WorkloadState): Promise<void> {
    const { trial } = state;
    if (trial === null || trial.key !== step.key || trial.phase !== 'ready' || trial.stable === null || step.kind !== 'switch') return;
    const counted = await this.#readTraffic(trial.stable);
    const kept = this.#profiles[trial.stable] ?? null;
    const isEnough = counted !== null && total(counted.latencyMs?.counts ?? []) >= BASELINE_REQUESTS;
    const previous = isEnough || kept === null ? counted : addTraffic(kept, counted ?? NO_TRAFFIC);
    this.#keepProfile(trial.stable, previous);
    this.#update({ previous });
  }

  /** Lets the version of before end while another is on trial when there is no memory for both: the way back is slower then. */
  makeRoom(state: WorkloadState): WorkloadState {
    const { trial } = state;
    if (trial?.phase !== 'running' || !trial.isWarm || this.#options.means.availableBytes() >= RESERVE_BYTES) return state;
    this.#options.log.warn('there is no memory to keep the version of before beside the new one', { trial: trial.id });
    return { ...state, trial: { ...trial, isWarm: false } };
  }

  /** Step `test`: asks the golden set. @throws AppError GATE_NOT_PASSED (user) when a gate breaks; as the port does. */
  async test(key: string, stable: string | null, signal: AbortSignal): Promise<void> {
    const { means, name, process } = this.#options;
    const golden = this.#trial?.golden;
    const port = process(key)?.port;
    if (golden === undefined || this.#record === null) return;
    if (port === undefined) throw new AppError('WORKLOAD_FAILED', { message: 'The model server ended.' });
    const isCompared = this.#trial?.gates.goldenAccuracyDrop !== undefined;
    const previousPort = isCompared && stable !== null ? (process(stable)?.port ?? null) : null;
    this.#update({ golden: await means.askGolden({ workload: name, golden, port, previousPort }, signal) });
    const { outcome, checks } = this.#judge();
    this.#update({ checks });
    if (outcome === 'failed') throw new AppError('GATE_NOT_PASSED', { message: describeBroken(checks) });
  }

  /** Step `mirror`. */
  startProxy(key: string, stable: string | null, signal: AbortSignal): Promise<ModelProcess> {
    const { means, name, process } = this.#options;
    const [port, previousPort] = [process(key)?.port, stable === null ? undefined : process(stable)?.port];
    const trial = this.#trial;
    if (port === undefined || previousPort === undefined || trial === null || trial.mode === 'serve')
      throw new AppError('WORKLOAD_FAILED', { message: 'The model server ended.' });
    const { mode, share = 0.1, id } = trial;
    return means.startProxy({ workload: name, mode, share, seed: id, port, previousPort }, signal);
  }

  /**
   * A step on the version on trial failed, or its process ended.
   * @returns whether its trial has failed by that.
   */
  faulted(state: WorkloadState, key: string, error: AppError, isCrash: boolean): boolean {
    const { trial } = state;
    if (trial?.key !== key || this.#record?.id !== trial.id || trial.phase === 'failed' || trial.phase === 'passed') return false;
    if (OUTER_CODES.includes(error.code)) return false;
    if (isCrash) this.#update({ crashes: this.#record.crashes + 1 });
    const { outcome, checks } = this.#judge();
    this.#update({ checks });
    if (isCrash && outcome !== 'failed') return false;
    this.#finish('failed', { code: error.code, message: this.#explain(isCrash, checks, error) });
    return true;
  }

  stop(): void {
    this.#stopWatching();
  }

  #explain(isCrash: boolean, checks: TrialRecord['checks'], error: AppError): string {
    return isCrash ? `${error.message} ${describeBroken(checks)}.` : error.message;
  }

  #begin(begun: Pick<TrialRecord, 'id' | 'version' | 'key' | 'stable' | 'mode' | 'phase'>): void {
    const at = new Date(this.#options.time()).toISOString();
    this.#record = {
      ...begun,
      stableVersion: begun.stable === null ? null : (this.#options.versionOf(begun.stable) ?? null),
      startedAt: at,
      finishedAt: begun.phase === 'passed' ? at : null,
      watchedMs: 0,
      crashes: 0,
      candidate: NO_TRAFFIC,
      previous: null,
      golden: null,
      agreement: null,
      temperature: { readings: 0, highestC: null },
      checks: [],
      arms: [],
      failure: null,
      revertedInMs: null,
    };
    this.#options.log.info('a trial begins', { trial: begun.id, version: begun.version, mode: begun.mode });
    this.#tell();
  }

  /** Something else is desired: a trial that has no verdict will not get one. */
  #abandon(): void {
    this.#stopWatching();
    if (this.#record === null || this.#record.phase === 'passed' || this.#record.phase === 'failed') return;
    this.#record = null;
    this.#tell();
  }

  /** The same trial again: after a restart, or when another runtime serves the version. */
  #resume(record: TrialRecord, key: string): TrialState {
    const { id, stable, mode } = record;
    const phase = record.phase === 'running' && record.key !== key ? 'ready' : record.phase;
    this.#update({ key, phase });
    return { id, key, stable, mode, phase, isWarm: true };
  }

  #isBack(state: WorkloadState, trial: TrialState): boolean {
    if (trial.stable === null) return false;
    return state.routed === trial.stable && state.mirrored === null && ['none', 'drained'].includes(versionOf(state, trial.key).process);
  }

  #judge(): TrialVerdict {
    if (this.#watch !== undefined) return this.#watch.judge();
    if (this.#record === null || this.#trial === null) return { outcome: 'undecided', checks: [] };
    const { gates, minRequests } = this.#trial;
    return judgeTrial(gates, { ...this.#record, memory: { readings: 0, nowMiB: null, warmMiB: null } }, minRequests, false);
  }

  async #startWatching(key: string): Promise<void> {
    const { process, source, means, log } = this.#options;
    const trial = this.#trial;
    const { TrialWatch } = await import('./trial-watch.ts');
    if (trial === null || this.#watch !== undefined || this.#record?.phase !== 'running') return;
    const { gates, minRequests, durationS } = trial;
    this.#watch = new TrialWatch({
      record: () => this.#need(),
      onSeen: (seen) => this.#update(seen),
      gates,
      minRequests,
      durationMs: durationS * 1000,
      candidate: () => process(key),
      source,
      temperatureC: () => means.temperatureC(),
      onVerdict: (verdict, reason) => this.#looked(verdict, reason),
      log,
    });
    this.#watch.start();
  }

  #watchClosely(key: string): void {
    const running = this.#options.process(key);
    if (running === this.#watched || running === undefined) return;
    this.#watched = running;
    const requestTimeoutMs = Math.max(LEAST_REQUEST_TIMEOUT_MS, 4 * (this.#trial?.gates.p95Ms ?? 0));
    running.watchClosely({ ...CLOSE_LIMITS, requestTimeoutMs });
  }

  #stopWatching(): void {
    this.#watched?.watchClosely(null);
    this.#watched = undefined;
    this.#watch?.stop();
    this.#watch = undefined;
    this.#looks = 0;
  }

  #looked({ outcome, checks }: TrialVerdict, reason: string | undefined): void {
    this.#update({ checks });
    if (outcome === 'undecided') {
      this.#looks += 1;
      if (this.#looks % TELL_EVERY === 1) this.#tell();
      if (this.#looks % KEEP_EVERY === 0) this.#options.onKeep();
      return;
    }
    const message = reason ?? `${describeBroken(checks)}.`;
    this.#finish(outcome, outcome === 'failed' ? { code: 'GATE_NOT_PASSED', message } : null);
    this.#options.onVerdict(outcome);
  }

  #finish(phase: 'passed' | 'failed', failure: TrialRecord['failure']): void {
    const { clock, time, log } = this.#options;
    const record = this.#need();
    const wasBeforeTraffic = record.phase !== 'running';
    this.#stopWatching();
    this.#finishedMs = clock();
    const finishedAt = new Date(time()).toISOString();
    const shortened = failure === null ? null : { ...failure, message: failure.message.slice(0, 4096) };
    this.#update({ phase, finishedAt, failure: shortened, ...(failure !== null && wasBeforeTraffic ? { revertedInMs: 0 } : {}) });
    if (phase === 'failed') this.#failed = [...this.#failed.filter((id) => id !== record.id), record.id].slice(-MAX_FAILED);
    else this.#keepProfile(record.key, record.candidate);
    log[phase === 'failed' ? 'error' : 'info'](`a trial has ${phase}`, {
      trial: record.id,
      version: record.version,
      reason: failure?.message,
    });
    this.#tell();
  }

  #keepProfile(key: string, traffic: Traffic | null): void {
    if (traffic === null || total(traffic.latencyMs?.counts ?? []) === 0) return;
    const others = Object.entries(this.#profiles).filter(([known]) => known !== key);
    this.#profiles = Object.fromEntries([...others.slice(1 - MAX_PROFILES), [key, traffic]]);
  }

  async #readTraffic(key: string): Promise<Traffic | null> {
    try {
      const text = await this.#options.process(key)?.read('/metrics');
      return text === undefined ? null : parseModelMetrics(text);
    } catch (error) {
      this.#options.log.warn('the version of before does not say what it has answered', describeError(error));
      return null;
    }
  }

  #need(): TrialRecord {
    if (this.#record === null) throw new AppError('INTERNAL', { message: 'There is no trial.' });
    return this.#record;
  }

  #update(more: Partial<TrialRecord>): void {
    if (this.#record !== null) this.#record = { ...this.#record, ...more };
  }

  #tell(): void {
    this.#told = this.#record === null ? null : trialReportOf(this.#record);
    this.#options.onChange();
  }
}
