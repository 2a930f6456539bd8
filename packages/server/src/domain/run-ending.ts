import type { Failure } from '@selvedge/contract';
import type { Observations, RunAction } from './run-actions.ts';
import { openSteps, type RunView } from './run-view.ts';
import type { GraphStep } from './step-graph.ts';
import { planEndOfWork } from './step-plan.ts';

export type Outcome = { phase: 'Cancelled'; message: string } | { phase: 'Failed'; message: string; error: Failure };

/** Ends what is at work; the run is finished once nothing is. The dataset's artifact is left to complete: it is not the run's. */
export function planEnding(run: RunView, observed: Observations, outcome: Outcome): RunAction[] {
  const open = openSteps(run);
  const plans = open.map((step) => planEnd(step, run, observed));
  if (plans.some((plan) => plan.waits)) return plans.flatMap((plan) => plan.actions);
  const isBegun = (step: GraphStep) => run.status.steps.some((known) => known.name === step.id && known.attempt > 0);
  const cancelled = open
    .filter((step) => outcome.phase === 'Cancelled' || isBegun(step))
    .map((step): RunAction => ({ type: 'show', step: step.id, change: { state: 'cancelled', message: 'cancelled' } }));
  return [...plans.flatMap((plan) => plan.actions), ...cancelled, { type: 'finish', ...outcome }];
}

interface EndPlan {
  waits: boolean;
  actions: RunAction[];
}

function planEnd(step: GraphStep, run: RunView, observed: Observations): EndPlan {
  if (step.kind === 'build') return { waits: false, actions: [{ type: 'dropBuilds', step: step.id }] };
  if (step.kind === 'sweep') {
    const active = (run.status.sweep?.children ?? []).some(({ phase }) => phase === 'Pending' || phase === 'Running');
    return active ? { waits: true, actions: [{ type: 'cancelChildren', step: step.id }] } : { waits: false, actions: [] };
  }
  if (step.kind !== 'tool') return { waits: false, actions: [] };
  const seen = observed[step.id];
  if (seen === undefined) return { waits: true, actions: [] };
  if (seen.kind === 'unreachable') {
    const begun = run.status.steps.some((known) => known.name === step.id && known.artifact !== null);
    if (!begun) return { waits: false, actions: [] };
    return { waits: true, actions: [{ type: 'show', step: step.id, change: { message: `cancelling; ${seen.reason}` } }] };
  }
  if (seen.kind !== 'present' || (seen.status.status !== 'queued' && seen.status.status !== 'in-progress'))
    return { waits: false, actions: [] };
  return { waits: true, actions: planEndOfWork(step, run, 'cancelling') };
}
