import type { RunSpec, RunStatus, RunStep } from '@selvedge/contract';
import type { WantedPackage } from './run-actions.ts';
import type { GraphStep } from './step-graph.ts';
import type { SweepPlan } from './sweep-plan.ts';

/** All that is known of a run but what its tools say. */
export interface RunView {
  readonly spec: RunSpec;
  readonly graph: readonly GraphStep[];
  readonly status: RunStatus;
  readonly cancelRequested: boolean;
  readonly nowIso: string;
  /** Looked at in the step `build`. */
  readonly packages?: readonly WantedPackage[];
  /** Of a sweep. */
  readonly sweep?: SweepPlan;
}

export function isFinishedPhase(phase: RunStatus['phase']): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';
}

export function isDone(step: RunStep | undefined): boolean {
  return step?.state === 'completed' || step?.state === 'skipped';
}

/** The steps that are at work or could be: not done, and all that they need is. */
export function openSteps(run: Pick<RunView, 'graph' | 'status'>): GraphStep[] {
  if (isFinishedPhase(run.status.phase)) return [];
  const known = new Map(run.status.steps.map((step) => [step.name, step]));
  return run.graph.filter((step) => {
    const state = known.get(step.id)?.state;
    return (state === 'pending' || state === 'running') && step.needs.every((need) => isDone(known.get(need)));
  });
}
