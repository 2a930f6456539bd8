import type { ArtifactStatus, Failure, RunSpec, RunStatus, RunStep } from '@selvedge/contract';
import { failureText } from './failure-text.ts';
import type { Observation, Observations, PreparedRequest, RunAction, ShownStep } from './run-actions.ts';
import { type GraphStep, readsOf } from './step-graph.ts';

/** How long a tool has to end work that it was asked to end, before its process is ended instead. */
const END_GRACE_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;

interface StepView {
  readonly spec: RunSpec;
  readonly graph: readonly GraphStep[];
  readonly status: RunStatus;
  readonly nowIso: string;
}

/** What to do about a step that is an artifact of a tool. */
export function planArtifact(step: GraphStep, run: StepView, observed: Observations): RunAction[] {
  const seen = observed[step.id];
  const stored = run.status.steps.find((known) => known.name === step.id);
  if (seen === undefined || stored === undefined) return []; // nothing is decided about what was not looked at
  switch (seen.kind) {
    case 'unreachable':
      return [show(step, { message: seen.reason })];
    case 'impossible':
      return [show(step, { state: 'failed', message: failureText(seen.failure), error: seen.failure })];
    case 'absent':
      return planAbsent(step, stored, seen.prepared, run, observed);
    case 'present':
      return planPresent(step, stored, seen, run);
  }
}

function show(step: GraphStep, change: ShownStep): RunAction {
  return { type: 'show', step: step.id, change };
}

function planAbsent(
  step: GraphStep,
  stored: RunStep,
  prepared: PreparedRequest | undefined,
  run: StepView,
  observed: Observations,
): RunAction[] {
  if (stored.retryAt != null && stored.retryAt > run.nowIso) return [];
  const gone = run.graph.find((other) => readsOf(step).includes(other.id) && observed[other.id]?.kind === 'absent');
  if (gone !== undefined) return planArtifact(gone, run, observed);
  const { cached, ...asked } = prepared ?? {};
  if (cached !== undefined) {
    const change: ShownStep = { ...asked, ...cached.results, state: 'completed', progress: 1, message: `cached from ${cached.from}` };
    return [{ type: 'reuse', step: step.id, artifact: cached.artifact, from: cached.from, change }];
  }
  const message = stored.state === 'completed' ? 'made again: its artifact was removed' : 'requested';
  const change: ShownStep = {
    ...asked,
    state: 'pending',
    finishedAt: null,
    retryAt: null,
    endingSince: null,
    timedOut: false,
    progress: 0,
    message,
  };
  return [show(step, change), { type: 'request', step: step.id }];
}

function planPresent(step: GraphStep, stored: RunStep, seen: Extract<Observation, { kind: 'present' }>, run: StepView): RunAction[] {
  const artifact = seen.status;
  const attempt = (stored.try ?? 1) - 1 + artifact.attempt;
  const used = artifact.finishedAt === null || artifact.resources === undefined ? {} : { resources: artifact.resources };
  const times = { attempt, startedAt: artifact.startedAt, finishedAt: artifact.finishedAt, ...used };
  const retried = artifact.attempt > 1 ? `attempt ${attempt} after the tool ended unexpectedly` : '';
  switch (artifact.status) {
    case 'queued': {
      const message = retried === '' ? 'queued' : `queued: ${retried}`;
      return [show(step, { ...times, state: 'pending', progress: 0, message })];
    }
    case 'in-progress': {
      if (isLate(step, stored, artifact, run.nowIso)) return planTimeout(step, run);
      const message = [retried, artifact.message].filter((part) => part !== '').join(': ');
      return [show(step, { ...times, state: 'running', progress: artifact.progress, message })];
    }
    case 'completed': {
      const change: ShownStep = { ...times, ...seen.results, state: 'completed', progress: 1, message: artifact.message };
      return [show(step, stored.timedOut === true ? { ...change, timedOut: false } : change)];
    }
    case 'failed':
      return planFailed(step, stored, artifact.error ?? { code: 'STEP_FAILED', message: artifact.message }, times, run.nowIso);
    case 'cancelled': {
      if (stored.timedOut !== true) return [show(step, { ...times, state: 'cancelled', message: 'cancelled' })];
      const message = `The step worked longer than its timeout of ${(step.timeoutMs ?? 0) / 1000} s and was ended.`;
      const hint = 'Set a longer timeoutS, or look into its log for where it stood.';
      return planFailed(step, stored, { code: 'TIMEOUT', message, hint }, times, run.nowIso);
    }
  }
}

function isLate(step: GraphStep, stored: RunStep, artifact: ArtifactStatus, nowIso: string): boolean {
  if (stored.timedOut === true) return true;
  if (step.timeoutMs === null || artifact.startedAt === null) return false;
  return Date.parse(nowIso) - Date.parse(artifact.startedAt) > step.timeoutMs;
}

function planTimeout(step: GraphStep, run: StepView): RunAction[] {
  const message = `its timeout of ${(step.timeoutMs ?? 0) / 1000} s has passed; it is being ended`;
  return planEndOfWork(step, run, message, { timedOut: true });
}

/** Asks the tool to end the work and, when it does not within ten seconds, ends the tool's process. */
export function planEndOfWork(
  step: GraphStep,
  run: Pick<StepView, 'status' | 'nowIso'>,
  message: string,
  change: ShownStep = {},
): RunAction[] {
  const since = run.status.steps.find((known) => known.name === step.id)?.endingSince ?? run.nowIso;
  const isStubborn = Date.parse(run.nowIso) - Date.parse(since) > END_GRACE_MS;
  const told = isStubborn ? `${message}; the tool does not let go of it and is restarted` : message;
  return [show(step, { ...change, endingSince: since, message: told }), { type: isStubborn ? 'kill' : 'cancel', step: step.id }];
}

function planFailed(step: GraphStep, stored: RunStep, error: Failure, times: ShownStep, nowIso: string): RunAction[] {
  const text = failureText(error);
  const tried = stored.try ?? 1;
  if (tried > step.retries) return [show(step, { ...times, state: 'failed', message: text, error })];
  const delayMs = Math.min(LONGEST_BACKOFF_MS, step.backoffMs * 2 ** (tried - 1));
  const retryAt = new Date(Date.parse(nowIso) + delayMs).toISOString();
  const message = `try ${tried} failed: ${text}; try ${tried + 1} of ${step.retries + 1} ${delayMs === 0 ? 'now' : `in ${delayMs / 1000} s`}`;
  const change: ShownStep = {
    state: 'pending',
    try: tried + 1,
    retryAt,
    endingSince: null,
    timedOut: false,
    finishedAt: null,
    progress: 0,
    message,
  };
  return [show(step, { ...times, ...change })];
}
