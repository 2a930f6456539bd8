import type { Run } from '@selvedge/contract';
import type { Observations, RunAction } from '../domain/run-actions.ts';
import type { GraphStep } from '../domain/step-graph.ts';
import type { ToolTurns, TurnWish } from '../domain/tool-turns.ts';

function wishOf(run: Run, step: string, makes: string | undefined): TurnWish {
  return { key: `${run.metadata.name}.${step}`, run: run.metadata.name, group: run.spec.pipeline, makes };
}

function keyIn(run: Run, step: string): string | undefined {
  return run.status.steps.find((known) => known.name === step)?.key;
}

/** Tells the turns what the tools have of this run, also after a restart. */
export function holdTurns(turns: ToolTurns, run: Run, open: readonly GraphStep[], observed: Observations): void {
  for (const step of open) {
    const seen = observed[step.id];
    if (step.kind !== 'tool' || seen?.kind !== 'present') continue;
    const isAtWork = seen.status.status === 'queued' || seen.status.status === 'in-progress';
    if (isAtWork) turns.hold(step.tool, wishOf(run, step.id, keyIn(run, step.id)));
  }
}

/** Gives back the turns of what the tools are done with; once the results are kept, so that who waits for the same finds them. */
export function releaseTurns(turns: ToolTurns, run: Run, open: readonly GraphStep[], observed: Observations): void {
  for (const step of open) {
    const seen = observed[step.id];
    if (step.kind !== 'tool' || seen?.kind !== 'present') continue;
    const isAtWork = seen.status.status === 'queued' || seen.status.status === 'in-progress';
    if (!isAtWork) turns.release(step.tool, `${run.metadata.name}.${step.id}`);
  }
}

/** The actions without the requests that have to wait for their turn; those steps say so. */
export function admitRequests(
  turns: ToolTurns,
  run: Run,
  graph: readonly GraphStep[],
  observed: Observations,
  actions: readonly RunAction[],
): RunAction[] {
  const refused = new Map<string, string>();
  for (const action of actions) {
    const step = action.type === 'request' ? graph.find((known) => known.id === action.step) : undefined;
    if (step?.kind !== 'tool') continue;
    const seen = observed[step.id];
    const wish = wishOf(run, step.id, seen?.kind === 'absent' ? seen.prepared?.key : undefined);
    if (turns.take(step.tool, wish)) continue;
    const maker = turns.makerOf(step.tool, wish);
    const users = [...new Set(turns.holdersOf(step.tool))].join(', ');
    refused.set(
      step.id,
      maker === undefined
        ? `waits for its turn at the ${step.tool} tool, which has work of ${users}`
        : `waits for ${maker}, which makes the same`,
    );
  }
  return actions.flatMap((action): RunAction[] => {
    const message = 'step' in action ? refused.get(action.step) : undefined;
    if (message === undefined) return [action];
    return action.type === 'show' ? [{ ...action, change: { ...action.change, message } }] : [];
  });
}
