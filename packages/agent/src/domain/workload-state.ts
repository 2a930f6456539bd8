import type { TrialMode } from '@selvedge/contract';

type DiskState = 'absent' | 'unverified' | 'verified';

/**
 * `probed`: passed its self-test, may get traffic. `standby`: gets none while another is on trial, and can have it back at once.
 * `drained`: gets none any more and has finished what it had.
 */
type ProcessState = 'none' | 'running' | 'probed' | 'standby' | 'drained';

export interface VersionState {
  readonly key: string;
  readonly disk: DiskState;
  readonly process: ProcessState;
}

export interface Failure {
  readonly key: string;
  /** Failures in a row. */
  readonly attempts: number;
  readonly retryAtMs: number;
}

/** The trial of the desired version. */
export interface TrialState {
  readonly id: string;
  readonly key: string;
  /** The version that a failed trial goes back to; null: there is none, then the mode is `serve`. */
  readonly stable: string | null;
  readonly mode: TrialMode;
  /** `preparing`: its golden set is still to be run. `ready`: it may get traffic. `running`: it does, or a copy or a share of it. */
  readonly phase: 'preparing' | 'ready' | 'running' | 'passed' | 'failed';
  /** Whether there is memory to keep the process of `stable` while the version on trial serves. */
  readonly isWarm: boolean;
}

export interface WorkloadState {
  readonly versions: readonly VersionState[];
  /** The version that gets the traffic now. */
  readonly routed: string | null;
  /** The version that got traffic last; survives a restart of the agent, unlike `routed`. */
  readonly lastServed: string | null;
  /** The one before `lastServed`, kept to fall back to. */
  readonly previous: string | null;
  readonly failures: readonly Failure[];
  readonly trial: TrialState | null;
  /** The version that stands beside `routed` behind the trial proxy, which gets the traffic then. */
  readonly mirrored: string | null;
}

const STEP_KINDS = ['fetch', 'verify', 'start', 'probe', 'test', 'mirror', 'switch', 'release', 'drain', 'stop', 'collect'] as const;
export type StepKind = (typeof STEP_KINDS)[number];
export interface Step {
  readonly kind: StepKind;
  readonly key: string;
}

export const EMPTY_WORKLOAD: WorkloadState = {
  versions: [],
  routed: null,
  lastServed: null,
  previous: null,
  failures: [],
  trial: null,
  mirrored: null,
};

/** The version as it stands; absent when nothing is known of it. */
export function versionOf(state: WorkloadState, key: string): VersionState {
  return state.versions.find((version) => version.key === key) ?? { key, disk: 'absent', process: 'none' };
}

function withVersion(state: WorkloadState, next: VersionState): WorkloadState {
  const others = state.versions.filter((version) => version.key !== next.key);
  const gone = next.disk === 'absent' && next.process === 'none';
  return { ...state, versions: gone ? others : [...others, next] };
}

function withoutTraffic(state: WorkloadState, key: string): WorkloadState {
  return state.routed === key ? { ...state, routed: null, mirrored: null } : state;
}

function withTrialPhase(state: WorkloadState, key: string, from: TrialState['phase'], to: TrialState['phase']): WorkloadState {
  const { trial } = state;
  return trial?.key === key && trial.phase === from ? { ...state, trial: { ...trial, phase: to } } : state;
}

/** The state after a step that succeeded. */
export function afterStep(state: WorkloadState, step: Step): WorkloadState {
  const { key } = step;
  const version = versionOf(state, key);
  switch (step.kind) {
    case 'fetch':
      return withVersion(state, { ...version, disk: 'unverified' });
    case 'verify':
      return withVersion(state, { ...version, disk: 'verified' });
    case 'start':
      return withVersion(state, { ...version, process: 'running' });
    case 'probe':
      return withVersion(state, { ...version, process: 'probed' });
    case 'test':
      return withTrialPhase(state, key, 'preparing', 'ready');
    case 'mirror':
      return { ...withTrialPhase(state, key, 'ready', 'running'), mirrored: key };
    case 'switch': {
      const previous = state.lastServed !== null && state.lastServed !== key ? state.lastServed : state.previous;
      const served = { ...state, routed: key, mirrored: null, lastServed: key, previous: previous === key ? null : previous };
      return withTrialPhase(withVersion(served, { ...version, process: 'probed' }), key, 'ready', 'running');
    }
    case 'release':
      return withVersion(state, { ...version, process: 'standby' });
    case 'drain':
      return withVersion(withoutTraffic(state, key), { ...version, process: 'drained' });
    case 'stop':
      return afterExit(state, key);
    case 'collect':
      return {
        ...withVersion(state, { ...version, disk: 'absent' }),
        lastServed: state.lastServed === key ? null : state.lastServed,
        previous: state.previous === key ? null : state.previous,
        failures: state.failures.filter((failure) => failure.key !== key),
      };
  }
}

/** The state after the process of a version ended, wanted or not. Its files count as unverified again. */
export function afterExit(state: WorkloadState, key: string): WorkloadState {
  const version = versionOf(state, key);
  const disk = version.disk === 'verified' ? 'unverified' : version.disk;
  return withVersion(withoutTraffic(state, key), { ...version, disk, process: 'none' });
}

/**
 * The state after a version failed: its process is gone and it rests until `retryAtMs`.
 *
 * @param filesLost - true when its files were bad and have been thrown away.
 */
export function afterFailure(state: WorkloadState, failure: Failure, filesLost: boolean): WorkloadState {
  const ended = afterExit(state, failure.key);
  const files = filesLost ? withVersion(ended, { ...versionOf(ended, failure.key), disk: 'absent' }) : ended;
  return { ...files, failures: [...files.failures.filter((known) => known.key !== failure.key), failure] };
}

/** Lets the versions that wait be tried at once, e.g. because the server is reachable again. */
export function withoutWaiting(state: WorkloadState, keys: readonly string[]): WorkloadState {
  return {
    ...state,
    failures: state.failures.map((failure) => (keys.includes(failure.key) ? { ...failure, retryAtMs: 0 } : failure)),
  };
}

/** Forgets that a version failed. */
export function withoutFailure(state: WorkloadState, key: string): WorkloadState {
  return { ...state, failures: state.failures.filter((failure) => failure.key !== key) };
}

/** The state after the verdict that the version on trial is not to serve: from now on the one of before is what is wanted. */
export function afterFailedTrial(state: WorkloadState): WorkloadState {
  const { trial } = state;
  if (trial === null) return state;
  const next: WorkloadState = { ...state, trial: { ...trial, phase: 'failed' } };
  if (trial.stable === null || state.lastServed !== trial.key) return next;
  // Also after a restart nothing but the version of before may be brought back.
  return { ...next, lastServed: trial.stable, previous: state.previous === trial.stable ? null : state.previous };
}

/** The state after the verdict that the version on trial is to serve. */
export function afterPassedTrial(state: WorkloadState): WorkloadState {
  return state.trial === null ? state : { ...state, trial: { ...state.trial, phase: 'passed' } };
}
