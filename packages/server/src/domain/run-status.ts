import { type RunStatus, type RunStep, STEP_NAMES, type StepName } from '@selvedge/contract';
import { isToolStep, type RunAction } from './run-plan.ts';

/**
 * A run that has not begun.
 * @param importArtifact - the dataset version's artifact: the first step's.
 * @param steps - default: those that every run has.
 */
export function initialRunStatus(importArtifact: string, steps: readonly StepName[] = STEP_NAMES): RunStatus {
  return {
    phase: 'Pending',
    message: 'waiting to start',
    steps: steps.map((name) => ({
      name,
      state: 'pending',
      attempt: 0,
      artifact: name === 'import' ? importArtifact : null,
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

function changeStep(status: RunStatus, name: RunStep['name'], change: Partial<RunStep>): RunStatus {
  return { ...status, steps: status.steps.map((step) => (step.name === name ? { ...step, ...change } : step)) };
}

/** Times are taken once: when a step is first seen running, and when it is first seen finished. */
function showStep(status: RunStatus, action: Extract<RunAction, { type: 'show' }>, nowIso: string): RunStatus {
  const before = status.steps.find((step) => step.name === action.step);
  const change: Partial<RunStep> = { ...action.change };
  const begins = change.state === 'running' && before?.startedAt == null;
  if (begins && change.startedAt == null) change.startedAt = nowIso;
  const ends = change.state === 'completed' || change.state === 'failed' || change.state === 'cancelled';
  if (ends && change.finishedAt == null) change.finishedAt = before?.finishedAt ?? nowIso;
  if (!isToolStep(action.step) && change.state === 'running') change.attempt = Math.max(1, before?.attempt ?? 1);
  return changeStep(status, action.step, change);
}

function finish(status: RunStatus, action: Extract<RunAction, { type: 'finish' }>, nowIso: string): RunStatus {
  const steps = status.steps.map((step) =>
    step.state === 'pending' || step.state === 'running' ? { ...step, state: 'skipped' as const } : step,
  );
  const error = action.phase === 'Failed' ? action.error : null;
  return { ...status, steps, phase: action.phase, message: action.message, error, finishedAt: nowIso };
}

/**
 * The status after the actions that are about it (`show`, `finish`, and the artifact's name for `request`); a run that is
 * acted on is Running.
 *
 * @param artifactOf - name of the artifact of a step.
 */
export function applyToStatus(
  status: RunStatus,
  actions: readonly RunAction[],
  context: { nowIso: string; artifactOf: (step: RunStep['name']) => string | null },
): RunStatus {
  if (actions.length === 0) return status;
  const { nowIso, artifactOf } = context;
  const begun: RunStatus = { ...status, phase: 'Running', startedAt: status.startedAt ?? nowIso };
  let next = begun;
  for (const action of actions) {
    if (action.type === 'show') next = showStep(next, action, nowIso);
    else if (action.type === 'request') next = changeStep(next, action.step, { artifact: artifactOf(action.step) });
    else if (action.type === 'finish') next = finish(next, action, nowIso);
  }
  if (next.phase !== 'Running') return next;
  const current = next.steps.find((step) => step.state !== 'completed');
  return { ...next, message: current === undefined ? 'finishing' : `step "${current.name}": ${current.message}` };
}
