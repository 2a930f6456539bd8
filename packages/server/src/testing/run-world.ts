import type { ArtifactStatus, PipelineSpec, RunSpec, RunStatus, RunStep } from '@selvedge/contract';
import type { Observations, RunAction } from '../domain/run-actions.ts';
import { planRun, stepsToObserve } from '../domain/run-plan.ts';
import { ownArtifact } from '../domain/run-requests.ts';
import { applyToStatus, initialRunStatus } from '../domain/run-status.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import { type GraphStep, makesArtifact, stepGraphOf } from '../domain/step-graph.ts';

export const NOW = '2026-01-02T03:04:05.000Z';
export const context = { nowIso: NOW, artifactOf: (step: RunStep) => ownArtifact('run', step), origin: 'http://server' };

export const PIPELINE: PipelineSpec = {
  dataset: { name: 'data', path: { train: 'train', test: 'test' } },
  preproc: { pipeline: ['hwctochw'] },
  model: { name: 'thing', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
  postproc: { pipeline: ['softmax'] },
};
export const runSpec = (pipelineSpec: PipelineSpec): RunSpec => ({
  pipeline: 'pipe',
  pipelineGeneration: 1,
  pipelineSpec,
  dataset: { name: 'data', version: 1, digest: 'd'.repeat(64), artifact: 'data.v1' },
  cause: { type: 'manual', by: 'test' },
});
export const GRAPH = stepGraphOf(PIPELINE);
export const TOOL_STEPS = GRAPH.filter(makesArtifact).map((step) => step.id);

export function artifact(change: Partial<ArtifactStatus> = {}): ArtifactStatus {
  return {
    status: 'queued',
    progress: 0,
    message: '',
    attempt: 1,
    createdAt: NOW,
    startedAt: NOW,
    finishedAt: null,
    error: null,
    ...change,
  };
}

/** Tools as the planner sees them: artifacts by step, and whether each tool runs. */
export class World {
  readonly artifacts = new Map<string, ArtifactStatus>();
  readonly down = new Set<string>();
  readonly requests: string[] = [];
  readonly spec: PipelineSpec;
  readonly graph: readonly GraphStep[];
  nowMs = Date.parse(NOW);
  registered = 0;
  killed: string[] = [];
  /** Steps whose artifacts fail, and how often. */
  readonly failing = new Map<string, number>();

  constructor(spec: PipelineSpec = PIPELINE) {
    this.spec = spec;
    this.graph = stepGraphOf(spec);
  }

  begin(): RunStatus {
    return initialRunStatus(this.graph, 'data.v1');
  }

  observe(status: RunStatus): Observations {
    const seen: Observations = {};
    const run = { graph: this.graph, status };
    for (let wanted = stepsToObserve(run, seen); wanted.length > 0; wanted = stepsToObserve(run, seen)) {
      for (const step of wanted) {
        const found = this.artifacts.get(this.nameOf(status, step));
        if (this.down.has(step)) seen[step] = { kind: 'unreachable', reason: 'down' };
        else seen[step] = found === undefined ? { kind: 'absent' } : { kind: 'present', status: found };
      }
    }
    return seen;
  }

  /** The first try of a step is kept under the step's own name. */
  nameOf(status: RunStatus, step: string): string {
    const tried = status.steps.find((known) => known.name === step)?.try ?? 1;
    return tried === 1 ? step : `${step}.${tried}`;
  }

  act(action: RunAction, status: RunStatus): RunAction[] {
    const name = 'step' in action ? this.nameOf(status, action.step) : '';
    if (action.type === 'request') {
      this.requests.push(action.step);
      this.artifacts.set(name, artifact());
    } else if (action.type === 'cancel') {
      this.artifacts.set(name, artifact({ status: 'cancelled' }));
    } else if (action.type === 'kill') {
      this.killed.push(action.step);
      this.artifacts.set(name, artifact({ status: 'cancelled' }));
    } else if (action.type === 'register') {
      this.registered += 1;
      return [{ type: 'show', step: action.step, change: { state: 'completed' } }];
    }
    return [];
  }

  /** Every artifact in work moves one state on. */
  work(): void {
    for (const [name, { status }] of this.artifacts) {
      const step = name.split('.')[0] ?? name;
      if (this.down.has(step)) continue;
      const left = this.failing.get(step) ?? 0;
      if (status === 'queued') this.artifacts.set(name, artifact({ status: 'in-progress' }));
      if (status === 'in-progress' && left === 0) this.artifacts.set(name, artifact({ status: 'completed', progress: 1 }));
      if (status !== 'in-progress' || left === 0) continue;
      this.failing.set(step, left - 1);
      this.artifacts.set(name, artifact({ status: 'failed', error: { code: 'STEP_FAILED', message: 'no luck' } }));
    }
  }
}

export function round(world: World, status: RunStatus, cancelRequested = false) {
  const nowIso = new Date(world.nowMs).toISOString();
  const actions = planRun({ spec: runSpec(world.spec), graph: world.graph, status, cancelRequested, nowIso }, world.observe(status));
  let next = applyToStatus(status, actions, { ...context, nowIso });
  for (const action of actions) next = applyToStatus(next, world.act(action, next), { ...context, nowIso });
  return { status: next, actions };
}

export function toTheEnd(world: World, from: RunStatus, rounds = 60): RunStatus {
  let status = from;
  for (let index = 0; index < rounds && !isFinishedPhase(status.phase); index += 1) {
    status = round(world, status).status;
    world.work();
  }
  return status;
}
