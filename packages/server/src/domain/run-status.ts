import type { RunStatus, RunStep } from '@selvedge/contract';
import type { RunAction } from './run-actions.ts';
import { type GraphStep, makesArtifact } from './step-graph.ts';

/**
 * A run that has not begun.
 * @param datasetArtifact - the dataset version's artifact: that of the step which stands for it.
 */
export function initialRunStatus(graph: readonly GraphStep[], datasetArtifact: string): RunStatus {
  return {
    phase: 'Pending',
    message: 'waiting to start',
    steps: graph.map((step) => ({
      name: step.id,
      ...(makesArtifact(step) ? { tool: step.tool } : {}),
      state: 'pending',
      attempt: 0,
      artifact: step.kind === 'dataset' ? (step.evaluates?.artifact ?? datasetArtifact) : null,
      startedAt: null,
      finishedAt: null,
      progress: 0,
      message: '',
    })),
    startedAt: null,
    finishedAt: null,
    metrics: {},
    error: null,
    modelVersion: null,
  };
}

function changeStep(status: RunStatus, name: string, change: Partial<RunStep>): RunStatus {
  return { ...status, steps: status.steps.map((step) => (step.name === name ? { ...step, ...change } : step)) };
}

/** Times are taken once: when a step is first seen running, and when it is first seen finished. */
function showStep(status: RunStatus, name: string, shown: Partial<RunStep>, context: StatusContext): RunStatus {
  const before = status.steps.find((step) => step.name === name);
  const change: Partial<RunStep> = { ...shown };
  const begins = change.state === 'running' && before?.startedAt == null;
  if (begins && change.startedAt == null) change.startedAt = context.nowIso;
  const ends = change.state === 'completed' || change.state === 'failed' || change.state === 'cancelled';
  if (ends && change.finishedAt == null) change.finishedAt = before?.finishedAt ?? context.nowIso;
  if (change.state === 'running' && change.attempt === undefined) change.attempt = Math.max(1, before?.attempt ?? 1);
  return changeStep(status, name, change);
}

function finish(status: RunStatus, action: Extract<RunAction, { type: 'finish' }>, nowIso: string): RunStatus {
  const steps = status.steps.map((step) =>
    step.state === 'pending' || step.state === 'running' ? { ...step, state: 'skipped' as const } : step,
  );
  const error = action.phase === 'Failed' ? action.error : null;
  return { ...status, steps, phase: action.phase, message: action.message, error, finishedAt: nowIso };
}

interface StatusContext {
  nowIso: string;
  /** Name of the artifact that is asked for in a step. */
  artifactOf: (step: RunStep) => string;
  /** The server's address that is inside requests made now. */
  origin: string;
}

function apply(status: RunStatus, action: RunAction, context: StatusContext): RunStatus {
  switch (action.type) {
    case 'show':
      return showStep(status, action.step, action.change, context);
    case 'reuse': {
      const taken = { ...action.change, artifact: action.artifact, cachedFrom: action.from, startedAt: context.nowIso };
      return showStep(status, action.step, taken, context);
    }
    case 'request': {
      const step = status.steps.find((known) => known.name === action.step);
      return step === undefined
        ? status
        : changeStep(status, step.name, { artifact: context.artifactOf(step), origin: context.origin, cachedFrom: null });
    }
    case 'finish':
      return finish(status, action, context.nowIso);
    default:
      return status;
  }
}

/** The status after the actions that are about it (`show`, `reuse`, `finish`, the artifact's name for `request`); a run that is acted on is Running. */
export function applyToStatus(status: RunStatus, actions: readonly RunAction[], context: StatusContext): RunStatus {
  if (actions.length === 0) return status;
  let next: RunStatus = { ...status, phase: 'Running', startedAt: status.startedAt ?? context.nowIso };
  for (const action of actions) next = apply(next, action, context);
  if (next.phase !== 'Running') return next;
  const current =
    next.steps.find((step) => step.state === 'running') ??
    next.steps.find((step) => step.state !== 'completed' && step.state !== 'skipped');
  return { ...next, message: current === undefined ? 'finishing' : `step "${current.name}": ${current.message}` };
}
