import type { Failure, RunStatus, RunStep } from '@selvedge/contract';
import { failureText } from './failure-text.ts';
import type { Observations, RunAction, ShownStep, WantedPackage } from './run-actions.ts';
import { type Outcome, planEnding } from './run-ending.ts';
import { isDone, isFinishedPhase, openSteps, type RunView } from './run-view.ts';
import { type GraphStep, makesArtifact, readsOf } from './step-graph.ts';
import { planArtifact } from './step-plan.ts';
import { evaluate } from './step-values.ts';
import type { SweepPlan } from './sweep-plan.ts';

/**
 * The steps worth looking at now: the open ones and, until their artifacts exist, those whose artifacts they will read
 * (one of them may have been removed since it was completed).
 */
export function stepsToObserve(run: Pick<RunView, 'graph' | 'status'>, seen: Observations): string[] {
  const wanted = new Set<string>();
  const visit = (step: GraphStep | undefined): void => {
    if (step === undefined || wanted.has(step.id)) return;
    if (makesArtifact(step)) {
      wanted.add(step.id);
      if (seen[step.id]?.kind !== 'absent') return;
    }
    for (const need of readsOf(step)) visit(run.graph.find((other) => other.id === need));
  };
  for (const step of openSteps(run)) visit(step);
  return [...wanted].filter((id) => seen[id] === undefined);
}

/**
 * What to do next with a run, from what is stored of it and what its tools say. Pure: asking again with the same facts
 * gives the same actions, and acting twice does no harm, because the artifact's name is the key of the work.
 *
 * Promises: nothing is asked of a finished run; a step is asked for only when all that it needs is done; a completed step
 * is asked for again only when its artifact is gone and another step still needs it; after a failure nothing new begins,
 * and the run is finished only when nothing of it is at work any more.
 */
export function planRun(run: RunView, observed: Observations): RunAction[] {
  const { status, graph } = run;
  if (isFinishedPhase(status.phase)) return [];
  if (run.cancelRequested) return planEnding(run, observed, { phase: 'Cancelled', message: 'Cancelled by the user.' });
  const stopped = status.steps.find((step) => step.state === 'failed' || step.state === 'cancelled');
  if (stopped !== undefined) return planEnding(run, observed, outcomeOf(stopped));
  const actions = openSteps(run).flatMap((step) => planStep(step, run, observed));
  const unique = onePerStep(actions);
  const after = statesAfter(status, unique);
  const ended = status.steps
    .map((step) => after.get(step.name) ?? step)
    .find((step) => step.state === 'failed' || step.state === 'cancelled');
  if (ended !== undefined) {
    // nothing new begins beside a failure; what is at work is ended first
    const shown = unique.filter((action) => action.type === 'show');
    const others = openSteps(run).filter((step) => step.id !== ended.name && isAtWork(step, observed));
    return others.length > 0 || run.sweep !== undefined ? shown : [...shown, finishOf(outcomeOf(ended))];
  }
  const allDone = graph.every((step) => isDone(after.get(step.id) ?? status.steps.find((known) => known.name === step.id)));
  if (!allDone) return unique;
  const last = [...status.steps]
    .reverse()
    .map((step) => after.get(step.name) ?? step)
    .find((step) => step.state === 'completed');
  return [...unique, { type: 'finish', phase: 'Succeeded', message: doneMessage(last) }];
}

function doneMessage(last: RunStep | undefined): string {
  if (last?.name === 'build') return `built ${last.message}`;
  return 'completed';
}

function isAtWork(step: GraphStep, observed: Observations): boolean {
  const seen = observed[step.id];
  if (step.kind === 'sweep' || step.kind === 'build') return true;
  return step.kind === 'tool' && seen?.kind === 'present' && (seen.status.status === 'queued' || seen.status.status === 'in-progress');
}

function outcomeOf(step: RunStep): Outcome {
  if (step.state === 'cancelled') return { phase: 'Cancelled', message: `Step "${step.name}" was cancelled.` };
  const error = step.error ?? { code: 'STEP_FAILED', message: step.message };
  return { phase: 'Failed', message: `Step "${step.name}" failed: ${failureText(error)}`, error };
}

function finishOf(outcome: Outcome): RunAction {
  return { type: 'finish', ...outcome };
}

/** Two steps may ask for the same removed input. */
function onePerStep(actions: readonly RunAction[]): RunAction[] {
  const seen = new Set<string>();
  return actions.filter((action) => {
    const key = `${action.type} ${'step' in action ? action.step : ''}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function statesAfter(status: RunStatus, actions: readonly RunAction[]): Map<string, RunStep> {
  const after = new Map<string, RunStep>();
  for (const action of actions) {
    const step = 'step' in action ? status.steps.find((known) => known.name === action.step) : undefined;
    if (step === undefined) continue;
    if (action.type === 'show') after.set(step.name, { ...(after.get(step.name) ?? step), ...action.change });
    if (action.type === 'reuse') after.set(step.name, { ...step, state: 'completed' });
  }
  return after;
}

function planStep(step: GraphStep, run: RunView, observed: Observations): RunAction[] {
  const stored = run.status.steps.find((known) => known.name === step.id);
  const skipped = step.needs.find((need) => run.status.steps.find((known) => known.name === need)?.state === 'skipped');
  if (skipped !== undefined) return [show(step, { state: 'skipped', message: `"${skipped}" was skipped` })];
  if (step.when !== null && stored?.state === 'pending' && stored.artifact === null) {
    const condition = evaluate(step.when, { spec: run.spec, steps: run.status.steps });
    if (!condition.ok) return [failed(step, condition.failure)];
    if (!condition.holds) return [show(step, { state: 'skipped', message: `its condition does not hold: ${condition.text}` })];
  }
  if (step.kind === 'build') return planBuild(run.packages ?? []);
  if (step.kind === 'sweep') return planSweepStep(step, run.sweep);
  if (step.kind === 'register') return planRegister(step, run, observed);
  return planArtifact(step, run, observed);
}

function show(step: GraphStep, change: ShownStep): RunAction {
  return { type: 'show', step: step.id, change };
}

function failed(step: GraphStep, error: Failure): RunAction {
  return show(step, { state: 'failed', message: failureText(error), error });
}

function planRegister(step: GraphStep, run: RunView, observed: Observations): RunAction[] {
  const gone = run.graph.find((other) => readsOf(step).includes(other.id) && observed[other.id]?.kind === 'absent');
  if (gone !== undefined) return planArtifact(gone, run, observed);
  return [show(step, { state: 'running', message: 'adding the version to the registry' }), { type: 'register', step: step.id }];
}

function planSweepStep(step: GraphStep, sweep: SweepPlan | undefined): RunAction[] {
  if (sweep === undefined) return []; // nothing is decided about what was not looked at
  const best = sweep.best === null ? '' : `; best ${sweep.best.run} with ${sweep.best.value}`;
  if (!sweep.isDone) {
    const message = `${Math.round(sweep.progress * sweep.total)} of ${sweep.total} runs done${best}`;
    const shown = show(step, { state: 'running', progress: sweep.progress, message });
    return sweep.start.length === 0 ? [shown] : [shown, { type: 'startChildren', step: step.id, children: sweep.start }];
  }
  if (sweep.best === null) {
    const message = 'No run of the sweep has succeeded with a value of its metric.';
    return [failed(step, { code: 'RUN_FAILED', message, hint: '"selvedge run show RUN" tells why each has not.' })];
  }
  return [show(step, { state: 'completed', progress: 1, message: `${sweep.total} runs${best}` })];
}

/** One that failed fails the step at once: the others go on, but the run has its answer. */
function planBuild(packages: readonly WantedPackage[]): RunAction[] {
  const broken = packages.find(({ status }) => status?.phase === 'Failed');
  if (broken?.status !== undefined) {
    const error = broken.status.error ?? { code: 'BUILD_FAILED', message: broken.status.message };
    const failure = { ...error, message: `package "${broken.name}": ${error.message}` };
    return [{ type: 'show', step: 'build', change: { state: 'failed', message: failureText(failure), error: failure } }];
  }
  const waiting = packages.filter(({ status }) => status?.phase !== 'Ready');
  const [next] = waiting;
  if (next === undefined) {
    const message = packages.map(({ name }) => name).join(', ');
    return [{ type: 'show', step: 'build', change: { state: 'completed', progress: 1, message } }];
  }
  const done = packages.reduce((sum, { status }) => sum + (status?.phase === 'Ready' ? 1 : (status?.progress ?? 0)), 0);
  const building = waiting.find(({ status }) => status?.phase === 'Building') ?? next;
  const what = building.status?.message ?? '';
  const message = `${packages.length - waiting.length} of ${packages.length} built; ${building.name}${what === '' ? '' : `: ${what}`}`;
  const change: ShownStep = { state: 'running', progress: Math.min(1, done / packages.length), message };
  const shown: RunAction = { type: 'show', step: 'build', change };
  return waiting.some(({ status }) => status === undefined) ? [shown, { type: 'build', step: 'build' }] : [shown];
}
