/**
 * The planner of one workload: what to do next so that the device serves the desired version.
 *
 * Pure: the state goes in, one step comes out; the keeper executes it, writes the result into the state with the
 * functions below and asks again. So every decision is made on what is true now, also after a crash in between.
 *
 * Invariants (tested as properties):
 * - a version that gets traffic is drained or stopped only after another one was probed and given the traffic, or when
 *   the workload is no longer desired;
 * - a version starts only when its files were verified since its process last ended;
 * - a version that failed is left alone until its `retryAtMs`;
 * - the version that served before the current one stays on disk;
 * - a version on trial gets traffic, or a copy or a share of it, only after its tests; when its trial has failed, the version of before
 *   gets the traffic, and that one is not ended before.
 */
import { afterStep, type Step, type TrialState, type VersionState, versionOf, type WorkloadState } from './workload-state.ts';

/** What may not be done now towards a version that does not serve yet. */
export interface Hold {
  readonly fetch: boolean;
  /** Everything after the files are there. */
  readonly start: boolean;
}

const NO_HOLD: Hold = { fetch: false, start: false };

/** A desired version that failed this often while nothing serves gives way to the previous one. */
const FALLBACK_AFTER_ATTEMPTS = 2;

function isBlocked(state: WorkloadState, key: string, nowMs: number): boolean {
  return state.failures.some((failure) => failure.key === key && failure.retryAtMs > nowMs);
}

function attemptsOf(state: WorkloadState, key: string): number {
  return state.failures.find((failure) => failure.key === key)?.attempts ?? 0;
}

/** The trial, while the version of before answers and the one on trial stands beside it. */
function trialBeside(trial: TrialState | null): (TrialState & { stable: string }) | null {
  if (trial === null || trial.stable === null || trial.mode === 'serve' || trial.phase === 'passed' || trial.phase === 'failed')
    return null;
  return { ...trial, stable: trial.stable };
}

/** The version to bring to service now: the wanted one, or an older one that can serve until the wanted one can. */
function chooseGoal(wanted: string, trial: TrialState | null, state: WorkloadState, nowMs: number): string {
  if (state.routed !== null) return wanted;
  const beside = trialBeside(trial);
  if (beside !== null) {
    const { stable } = beside;
    const cannot = isBlocked(state, stable, nowMs) && attemptsOf(state, stable) >= FALLBACK_AFTER_ATTEMPTS;
    // When the version of before cannot serve, better the one on trial than none.
    return versionOf(state, stable).disk !== 'absent' && !cannot ? stable : wanted;
  }
  const target = versionOf(state, wanted);
  if (['running', 'probed', 'standby'].includes(target.process)) return wanted;
  const refused = trial?.phase === 'failed' ? trial.key : null;
  const usable = (key: string | null): key is string =>
    key !== null && key !== wanted && key !== refused && versionOf(state, key).disk !== 'absent' && !isBlocked(state, key, nowMs);
  // After a restart the version that served is back first: it is on disk and known to work.
  if (usable(state.lastServed)) return state.lastServed;
  const cannot = target.disk === 'absent' || (isBlocked(state, wanted, nowMs) && attemptsOf(state, wanted) >= FALLBACK_AFTER_ATTEMPTS);
  return cannot && usable(state.previous) ? state.previous : wanted;
}

function stepToEnd(version: VersionState): Step {
  return { kind: version.process === 'probed' ? 'drain' : 'stop', key: version.key };
}

/** How a probed version of this trial gets its traffic. */
function stepToTraffic(key: string, trial: TrialState | null, state: WorkloadState): Step {
  if (trial?.key !== key) return { kind: 'switch', key };
  if (trial.phase === 'preparing') return { kind: 'test', key };
  const beside = trialBeside(trial);
  return { kind: beside !== null && state.routed === beside.stable ? 'mirror' : 'switch', key };
}

function stepTowards(version: VersionState, trial: TrialState | null, state: WorkloadState): Step {
  const { key, disk, process } = version;
  if (process === 'drained') return { kind: 'stop', key };
  if (process === 'probed' || process === 'standby') return stepToTraffic(key, trial, state);
  if (process === 'running') return { kind: 'probe', key };
  if (disk === 'verified') return { kind: 'start', key };
  return { kind: disk === 'unverified' ? 'verify' : 'fetch', key };
}

/** Brings the version that a failed trial goes back to where it can have its traffic at once. */
function stepToStandby(version: VersionState, state: WorkloadState, nowMs: number): Step | undefined {
  if (version.process === 'standby' || version.disk === 'absent' || isBlocked(state, version.key, nowMs)) return undefined;
  if (version.process === 'probed') return { kind: 'release', key: version.key };
  return stepTowards(version, null, state);
}

function stepToLeave(state: WorkloadState): Step | undefined {
  const running = state.versions.find((version) => version.process !== 'none');
  if (running !== undefined) return stepToEnd(running);
  const onDisk = state.versions.find((version) => version.disk !== 'absent');
  return onDisk === undefined ? undefined : { kind: 'collect', key: onDisk.key };
}

/** The version to serve in the end; null: none, as the only one there is failed its tests. */
function wantedOf(desired: string, trial: TrialState | null, state: WorkloadState): string | null {
  if (trial?.phase !== 'failed') return desired;
  return trial.stable ?? (state.lastServed === desired ? desired : null);
}

/** Whether the proxy stands where it should, or not at all. */
function isMirrorRight(trial: TrialState | null, state: WorkloadState): boolean {
  if (state.mirrored === null || state.routed === null) return true;
  return trialBeside(trial)?.key === state.mirrored && versionOf(state, state.mirrored).process === 'probed';
}

function isHeld(step: Step, trial: TrialState | null, state: WorkloadState, hold: Hold): boolean {
  if (step.key === state.lastServed || trial?.phase === 'running' || trial?.phase === 'passed') return false;
  if (step.kind === 'fetch') return hold.fetch;
  return hold.start && ['start', 'probe', 'test', 'mirror', 'switch'].includes(step.kind);
}

/** The step that brings the goal nearer, if there is one that may be taken now. */
function stepToGoal(goal: string, trial: TrialState | null, state: WorkloadState, nowMs: number, hold: Hold): Step | undefined {
  if (goal === state.routed || goal === state.mirrored || isBlocked(state, goal, nowMs)) return undefined;
  const step = stepTowards(versionOf(state, goal), trial, state);
  return isHeld(step, trial, state, hold) ? undefined : step;
}

/**
 * The next step towards the desired version (null: the workload is to go away).
 *
 * @param hold - what may not be done now; nothing without it.
 * @returns undefined when there is nothing to do now; {@link wakeAtMs} tells whether to ask again later.
 */
export function nextStep(desired: string | null, state: WorkloadState, nowMs: number, hold: Hold = NO_HOLD): Step | undefined {
  if (desired === null) return stepToLeave(state);
  const trial = state.trial?.key === desired ? state.trial : null;
  const wanted = wantedOf(desired, trial, state);
  const goal = wanted === null ? null : chooseGoal(wanted, trial, state, nowMs);
  if (!isMirrorRight(trial, state) && state.routed !== null) {
    const step = stepTowards(versionOf(state, goal ?? state.routed), trial, state);
    return goal === state.mirrored && step.kind === 'switch' ? step : { kind: 'switch', key: state.routed };
  }
  const isServing = trial !== null && trial.phase === 'running' && state.routed === trial.key;
  const standby = isServing && trial.isWarm ? trial.stable : null;
  const busy = [goal, state.routed, standby, trialBeside(trial)?.key];
  const stray = state.versions.find((version) => version.process !== 'none' && !busy.includes(version.key));
  if (stray !== undefined) return stepToEnd(stray);
  const kept = [desired, trial?.stable, goal, state.routed, state.lastServed, state.previous];
  const garbage = state.versions.find((version) => version.disk !== 'absent' && !kept.includes(version.key));
  if (garbage !== undefined) return { kind: 'collect', key: garbage.key };
  if (goal === null) return undefined;
  if (goal === state.routed && standby !== null) return stepToStandby(versionOf(state, standby), state, nowMs);
  return stepToGoal(goal, trial, state, nowMs, hold);
}

/** When a failed version may be tried again, in milliseconds; undefined when none waits. */
export function wakeAtMs(state: WorkloadState, nowMs: number): number | undefined {
  const times = state.failures.map((failure) => failure.retryAtMs).filter((time) => time > nowMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The whole list of steps as it looks now, if each succeeds. */
export function planWorkload(desired: string | null, state: WorkloadState, nowMs: number): Step[] {
  const steps: Step[] = [];
  let current = state;
  for (let step = nextStep(desired, current, nowMs); step !== undefined; step = nextStep(desired, current, nowMs)) {
    steps.push(step);
    current = afterStep(current, step);
  }
  return steps;
}
