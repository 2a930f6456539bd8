import {
  type ArtifactStatus,
  type Failure,
  type PackageStatus,
  type RunStatus,
  type RunStep,
  STEP_NAMES,
  type StepName,
} from '@selvedge/contract';

export const TOOL_STEPS = STEP_NAMES.filter((name) => name !== 'register');
/** Steps that the server does itself: `register`, and `build`, which waits for packages. */
type ServerStep = 'register' | 'build';
export type ToolStep = Exclude<StepName, ServerStep>;

export function isToolStep(step: StepName): step is ToolStep {
  return step !== 'register' && step !== 'build';
}

/** What was last seen of a step's artifact. */
export type Observation =
  /** The tool does not run now; `reason` is for people. */
  | { kind: 'unreachable'; reason: string }
  /** The tool runs and has no such artifact. */
  | { kind: 'absent' }
  | { kind: 'present'; status: ArtifactStatus };

/** A step that was not looked at is taken to be as the run says. */
export type Observations = Partial<Record<ToolStep, Observation>>;

/** One thing to do. `show` changes only what is known of a step; the others act. */
export type RunAction =
  | { type: 'show'; step: StepName; change: Partial<Omit<RunStep, 'name' | 'artifact'>> }
  | { type: 'request'; step: ToolStep }
  | { type: 'cancel'; step: ToolStep }
  | { type: 'register' }
  /** Makes sure that the packages are there. */
  | { type: 'build' }
  /** Removes the packages that are not finished. */
  | { type: 'dropBuilds' }
  | { type: 'finish'; phase: 'Succeeded' | 'Cancelled'; message: string }
  | { type: 'finish'; phase: 'Failed'; message: string; error: Failure };

/** Steps whose artifacts a step reads. */
export const STEP_NEEDS: Record<StepName, readonly ToolStep[]> = {
  import: [],
  process: ['import'],
  export: ['process'],
  split: ['export'],
  train: ['split'],
  benchmark: ['train', 'split'],
  register: ['train', 'benchmark'],
  build: [],
};

/** A package that the step `build` waits for; `status` is undefined until it is there. */
export interface WantedPackage {
  name: string;
  status: Pick<PackageStatus, 'phase' | 'progress' | 'message' | 'error'> | undefined;
}

export interface RunView {
  status: RunStatus;
  cancelRequested: boolean;
  /** Looked at in the step `build`. */
  packages?: readonly WantedPackage[];
}

export function isFinishedPhase(phase: RunStatus['phase']): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';
}

/** The first step that is not completed; undefined when all are. */
export function currentStep(status: RunStatus): RunStep | undefined {
  return status.steps.find((step) => step.state !== 'completed');
}

/**
 * The steps worth looking at now: the current one and, until its artifact exists, the ones whose artifacts it will read
 * (one of them may have been removed since it was completed), the earliest last.
 */
export function stepsToObserve(status: RunStatus, seen: Observations): ToolStep[] {
  const current = currentStep(status);
  if (current === undefined || isFinishedPhase(status.phase)) return [];
  const wanted: ToolStep[] = [];
  const visit = (step: StepName): void => {
    if (isToolStep(step)) {
      if (wanted.includes(step)) return;
      wanted.push(step);
      if (seen[step]?.kind !== 'absent') return;
    }
    for (const need of STEP_NEEDS[step]) visit(need);
  };
  visit(current.name);
  return wanted.filter((step) => seen[step] === undefined);
}

/**
 * What to do next with a run, from what is stored of it and what its tools say. Pure: asking again with the same facts
 * gives the same actions, and acting twice does no harm, because the artifact's name is the key of the work.
 *
 * Promises: nothing is asked of a finished run; a completed step is asked for again only when its artifact is gone and a
 * later step still needs it; at most one artifact is requested at a time.
 */
export function planRun(run: RunView, observed: Observations): RunAction[] {
  const { status } = run;
  if (isFinishedPhase(status.phase)) return [];
  const current = currentStep(status);
  if (current === undefined) return [{ type: 'finish', phase: 'Succeeded', message: 'completed' }];
  if (run.cancelRequested) return planCancel(current, observed);
  if (current.name === 'build') return planBuild(run.packages ?? []);
  if (isToolStep(current.name)) return planToolStep(current.name, status, observed);
  const gone = STEP_NEEDS.register.find((need) => observed[need]?.kind === 'absent');
  if (gone !== undefined) return planToolStep(gone, status, observed);
  return [
    { type: 'show', step: 'register', change: { state: 'running', message: 'adding the version to the registry' } },
    { type: 'register' },
  ];
}

/** One that failed fails the step at once: the others go on, but the run has its answer. */
function planBuild(packages: readonly WantedPackage[]): RunAction[] {
  const failed = packages.find(({ status }) => status?.phase === 'Failed');
  if (failed?.status !== undefined) {
    const error = failed.status.error ?? { code: 'BUILD_FAILED', message: failed.status.message };
    const text = `package "${failed.name}": ${failureText(error)}`;
    return [
      { type: 'show', step: 'build', change: { state: 'failed', message: text } },
      {
        type: 'finish',
        phase: 'Failed',
        message: `Step "build" failed: ${text}`,
        error: { ...error, message: `${failed.name}: ${error.message}` },
      },
    ];
  }
  const waiting = packages.filter(({ status }) => status?.phase !== 'Ready');
  const [next] = waiting;
  if (next === undefined) {
    const message = packages.map(({ name }) => name).join(', ');
    return [
      { type: 'show', step: 'build', change: { state: 'completed', progress: 1, message } },
      { type: 'finish', phase: 'Succeeded', message: `built ${message}` },
    ];
  }
  const done = packages.reduce((sum, { status }) => sum + (status?.phase === 'Ready' ? 1 : (status?.progress ?? 0)), 0);
  const building = waiting.find(({ status }) => status?.phase === 'Building') ?? next;
  const what = building.status?.message ?? '';
  const message = `${packages.length - waiting.length} of ${packages.length} built; ${building.name}${what === '' ? '' : `: ${what}`}`;
  const show: RunAction = {
    type: 'show',
    step: 'build',
    change: { state: 'running', progress: Math.min(1, done / packages.length), message },
  };
  return waiting.some(({ status }) => status === undefined) ? [show, { type: 'build' }] : [show];
}

/** A failure in one line, for the message of a step or a run. */
export function failureText({ code, message, hint }: Failure): string {
  return `${message} (${code})${hint === undefined ? '' : ` ${hint}`}`;
}

function planToolStep(step: ToolStep, status: RunStatus, observed: Observations): RunAction[] {
  const seen = observed[step];
  if (seen === undefined) return []; // nothing is decided about what was not looked at
  switch (seen.kind) {
    case 'unreachable':
      return [{ type: 'show', step, change: { message: seen.reason } }];
    case 'absent': {
      const gone = STEP_NEEDS[step].find((need) => observed[need]?.kind === 'absent');
      if (gone !== undefined) return planToolStep(gone, status, observed);
      const again = status.steps.some((known) => known.name === step && known.state === 'completed');
      const message = again ? 'made again: its artifact was removed' : 'requested';
      return [
        { type: 'show', step, change: { state: 'pending', finishedAt: null, progress: 0, message } },
        { type: 'request', step },
      ];
    }
    case 'present':
      return planPresent(step, seen.status);
  }
}

function planPresent(step: ToolStep, artifact: ArtifactStatus): RunAction[] {
  const times = { attempt: artifact.attempt, startedAt: artifact.startedAt, finishedAt: artifact.finishedAt };
  const retried = artifact.attempt > 1 ? `attempt ${artifact.attempt} after the tool ended unexpectedly` : '';
  switch (artifact.status) {
    case 'queued': {
      const message = retried === '' ? 'queued' : `queued: ${retried}`;
      return [{ type: 'show', step, change: { ...times, state: 'pending', progress: 0, message } }];
    }
    case 'in-progress': {
      const message = [retried, artifact.message].filter((part) => part !== '').join(': ');
      return [{ type: 'show', step, change: { ...times, state: 'running', progress: artifact.progress, message } }];
    }
    case 'completed':
      return [{ type: 'show', step, change: { ...times, state: 'completed', progress: 1, message: artifact.message } }];
    case 'failed': {
      const error = artifact.error ?? { code: 'STEP_FAILED', message: artifact.message };
      const text = failureText(error);
      return [
        { type: 'show', step, change: { ...times, state: 'failed', progress: artifact.progress, message: text } },
        { type: 'finish', phase: 'Failed', message: `Step "${step}" failed: ${text}`, error },
      ];
    }
    case 'cancelled':
      return [
        { type: 'show', step, change: { ...times, state: 'cancelled', message: 'cancelled' } },
        { type: 'finish', phase: 'Cancelled', message: `Step "${step}" was cancelled.` },
      ];
  }
}

/** The import step's artifact belongs to the dataset, not to the run: it is left to complete. */
function planCancel(current: RunStep, observed: Observations): RunAction[] {
  const finish: RunAction[] = [
    { type: 'show', step: current.name, change: { state: 'cancelled', message: 'cancelled' } },
    { type: 'finish', phase: 'Cancelled', message: 'Cancelled by the user.' },
  ];
  if (current.name === 'build') return [{ type: 'dropBuilds' }, ...finish];
  if (!isToolStep(current.name) || current.name === 'import') return finish;
  const seen = observed[current.name];
  if (seen === undefined) return [];
  if (seen.kind === 'unreachable') return [{ type: 'show', step: current.name, change: { message: `cancelling; ${seen.reason}` } }];
  if (seen.kind === 'absent') return finish;
  if (seen.status.status !== 'queued' && seen.status.status !== 'in-progress') return finish;
  return [
    { type: 'show', step: current.name, change: { message: 'cancelling' } },
    { type: 'cancel', step: current.name },
  ];
}
