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
 * - the version that served before the current one stays on disk.
 */

type DiskState = 'absent' | 'unverified' | 'verified';

/** `probed`: passed its self-test, may get traffic. `drained`: gets none any more and has finished what it had. */
type ProcessState = 'none' | 'running' | 'probed' | 'drained';

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

export interface WorkloadState {
  readonly versions: readonly VersionState[];
  /** The version that gets the traffic now. */
  readonly routed: string | null;
  /** The version that got traffic last; survives a restart of the agent, unlike `routed`. */
  readonly lastServed: string | null;
  /** The one before `lastServed`, kept to fall back to. */
  readonly previous: string | null;
  readonly failures: readonly Failure[];
}

const STEP_KINDS = ['fetch', 'verify', 'start', 'probe', 'switch', 'drain', 'stop', 'collect'] as const;
export type StepKind = (typeof STEP_KINDS)[number];
export interface Step {
  readonly kind: StepKind;
  readonly key: string;
}

export const EMPTY_WORKLOAD: WorkloadState = { versions: [], routed: null, lastServed: null, previous: null, failures: [] };

/** A desired version that failed this often while nothing serves gives way to the previous one. */
const FALLBACK_AFTER_ATTEMPTS = 2;

function versionOf(state: WorkloadState, key: string): VersionState {
  return state.versions.find((version) => version.key === key) ?? { key, disk: 'absent', process: 'none' };
}

function isBlocked(state: WorkloadState, key: string, nowMs: number): boolean {
  return state.failures.some((failure) => failure.key === key && failure.retryAtMs > nowMs);
}

/** The version to bring to service now: the desired one, or an older one that can serve until the desired one can. */
function chooseGoal(desired: string, state: WorkloadState, nowMs: number): string {
  if (state.routed !== null) return desired;
  const target = versionOf(state, desired);
  if (target.process === 'running' || target.process === 'probed') return desired;
  const usable = (key: string | null): key is string =>
    key !== null && key !== desired && versionOf(state, key).disk !== 'absent' && !isBlocked(state, key, nowMs);
  // After a restart the version that served is back first: it is on disk and known to work.
  if (usable(state.lastServed)) return state.lastServed;
  const attempts = state.failures.find((failure) => failure.key === desired)?.attempts ?? 0;
  const cannot = target.disk === 'absent' || (isBlocked(state, desired, nowMs) && attempts >= FALLBACK_AFTER_ATTEMPTS);
  return cannot && usable(state.previous) ? state.previous : desired;
}

function stepToEnd(version: VersionState): Step {
  return { kind: version.process === 'probed' ? 'drain' : 'stop', key: version.key };
}

function stepTowards(version: VersionState): Step {
  const { key, disk, process } = version;
  if (process === 'drained') return { kind: 'stop', key };
  if (process === 'probed') return { kind: 'switch', key };
  if (process === 'running') return { kind: 'probe', key };
  if (disk === 'verified') return { kind: 'start', key };
  return { kind: disk === 'unverified' ? 'verify' : 'fetch', key };
}

/**
 * The next step towards the desired version (null: the workload is to go away).
 *
 * @returns undefined when there is nothing to do now; {@link wakeAtMs} tells whether to ask again later.
 */
export function nextStep(desired: string | null, state: WorkloadState, nowMs: number): Step | undefined {
  const running = state.versions.filter((version) => version.process !== 'none');
  if (desired === null) {
    const [first] = running;
    if (first !== undefined) return stepToEnd(first);
    const onDisk = state.versions.find((version) => version.disk !== 'absent');
    return onDisk === undefined ? undefined : { kind: 'collect', key: onDisk.key };
  }
  const goal = chooseGoal(desired, state, nowMs);
  const stray = running.find((version) => version.key !== goal && version.key !== state.routed);
  if (stray !== undefined) return stepToEnd(stray);
  const kept = [desired, goal, state.routed, state.lastServed, state.previous];
  const garbage = state.versions.find((version) => version.disk !== 'absent' && !kept.includes(version.key));
  if (garbage !== undefined) return { kind: 'collect', key: garbage.key };
  if (goal === state.routed || isBlocked(state, goal, nowMs)) return undefined;
  return stepTowards(versionOf(state, goal));
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

function withVersion(state: WorkloadState, next: VersionState): WorkloadState {
  const others = state.versions.filter((version) => version.key !== next.key);
  const gone = next.disk === 'absent' && next.process === 'none';
  return { ...state, versions: gone ? others : [...others, next] };
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
    case 'switch': {
      const previous = state.lastServed !== null && state.lastServed !== key ? state.lastServed : state.previous;
      return { ...state, routed: key, lastServed: key, previous: previous === key ? null : previous };
    }
    case 'drain':
      return { ...withVersion(state, { ...version, process: 'drained' }), routed: state.routed === key ? null : state.routed };
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
  return { ...withVersion(state, { ...version, disk, process: 'none' }), routed: state.routed === key ? null : state.routed };
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
