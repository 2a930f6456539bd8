import { type ArtifactStatus, RUN_STEP_NAMES, type RunStep } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  currentStep,
  type Observations,
  planRun,
  type RunAction,
  STEP_NEEDS,
  stepsToObserve,
  TOOL_STEPS,
  type ToolStep,
} from './run-plan.ts';
import { applyToStatus, initialRunStatus } from './run-status.ts';

const NOW = '2026-01-02T03:04:05.000Z';
const context = { nowIso: NOW, artifactOf: (step: RunStep['name']) => (step === 'register' ? null : `run.${step}`) };

function artifact(change: Partial<ArtifactStatus> = {}): ArtifactStatus {
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
class World {
  readonly artifacts = new Map<ToolStep, ArtifactStatus>();
  readonly down = new Set<ToolStep>();
  readonly requests: ToolStep[] = [];
  registered = 0;

  observe(status: ReturnType<typeof initialRunStatus>): Observations {
    const seen: Observations = {};
    for (let wanted = stepsToObserve(status, seen); wanted.length > 0; wanted = stepsToObserve(status, seen)) {
      for (const step of wanted) {
        const found = this.artifacts.get(step);
        if (this.down.has(step)) seen[step] = { kind: 'unreachable', reason: 'down' };
        else seen[step] = found === undefined ? { kind: 'absent' } : { kind: 'present', status: found };
      }
    }
    return seen;
  }

  act(action: RunAction): RunAction[] {
    if (action.type === 'request') {
      this.requests.push(action.step);
      this.artifacts.set(action.step, artifact());
    } else if (action.type === 'cancel') {
      this.artifacts.set(action.step, artifact({ status: 'cancelled' }));
    } else if (action.type === 'register') {
      this.registered += 1;
      return [{ type: 'show', step: 'register', change: { state: 'completed' } }];
    }
    return [];
  }

  /** Every artifact in work moves one state on. */
  work(): void {
    for (const [step, { status }] of this.artifacts) {
      if (this.down.has(step)) continue;
      if (status === 'queued') this.artifacts.set(step, artifact({ status: 'in-progress' }));
      if (status === 'in-progress') this.artifacts.set(step, artifact({ status: 'completed', progress: 1 }));
    }
  }
}

function round(world: World, status: ReturnType<typeof initialRunStatus>, cancelRequested = false) {
  const actions = planRun({ status, cancelRequested }, world.observe(status));
  let next = applyToStatus(status, actions, context);
  for (const action of actions) next = applyToStatus(next, world.act(action), context);
  return { status: next, actions };
}

describe('planRun', () => {
  it('asks for each step once, in order, and succeeds', () => {
    const world = new World();
    let status = initialRunStatus('data.v1');
    for (let index = 0; index < 40; index += 1) {
      status = round(world, status).status;
      world.work();
    }
    expect(world.requests).toEqual(TOOL_STEPS);
    expect(world.registered).toBe(1);
    expect(status.phase).toBe('Succeeded');
    expect(status.steps.map((step) => step.state)).toEqual(Array(7).fill('completed'));
  });

  it('takes an import that is there already as done', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'completed' }));
    const { status } = round(world, initialRunStatus('data.v1'));
    expect(currentStep(status)?.name).toBe('process');
    expect(world.requests).toEqual([]);
  });

  it('says that a tool is down and leaves the state of the step as it was', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'in-progress' }));
    const running = round(world, initialRunStatus('data.v1')).status;
    world.down.add('import');
    const { status } = round(world, running);
    expect(status.steps[0]).toMatchObject({ state: 'running', message: 'down' });
    expect(status.phase).toBe('Running');
  });

  it("fails with the tool's own error and skips the rest", () => {
    const world = new World();
    const error = { code: 'DATASET_FORMAT', message: 'bad data', hint: 'Mend it.' };
    world.artifacts.set('import', artifact({ status: 'failed', error }));
    const { status } = round(world, initialRunStatus('data.v1'));
    expect(status.phase).toBe('Failed');
    expect(status.message).toBe('Step "import" failed: bad data (DATASET_FORMAT) Mend it.');
    expect(status.error).toEqual(error);
    expect(status.steps.map((step) => step.state)).toEqual(['failed', ...Array(6).fill('skipped')]);
  });

  it('cancels the artifact under way, then the run', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'completed' }));
    let { status } = round(world, initialRunStatus('data.v1'));
    ({ status } = round(world, status));
    const first = round(world, status, true);
    expect(first.actions).toContainEqual({ type: 'cancel', step: 'process' });
    const second = round(world, first.status, true);
    expect(second.status.phase).toBe('Cancelled');
    expect(second.status.steps.map((step) => step.state)).toEqual(['completed', 'cancelled', ...Array(5).fill('skipped')]);
  });

  it("leaves the dataset's own import alone when a run is cancelled", () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'in-progress' }));
    const { status, actions } = round(world, initialRunStatus('data.v1'), true);
    expect(actions.some((action) => action.type === 'cancel')).toBe(false);
    expect(status.phase).toBe('Cancelled');
  });

  it('makes an input again that was removed before the step that reads it', () => {
    const world = new World();
    let status = initialRunStatus('data.v1');
    while (currentStep(status)?.name !== 'train') {
      status = round(world, status).status;
      world.work();
    }
    world.artifacts.delete('split');
    world.artifacts.delete('train');
    world.requests.length = 0;
    for (let index = 0; index < 20; index += 1) {
      status = round(world, status).status;
      world.work();
    }
    expect(world.requests).toEqual(['split', 'train', 'benchmark']);
    expect(status.phase).toBe('Succeeded');
  });

  it('reaches the end whatever happens on the way, and never asks for work whose result is there', () => {
    const disturbance = fc.record({
      kind: fc.constantFrom('work', 'down', 'up', 'remove', 'nothing'),
      step: fc.constantFrom(...TOOL_STEPS),
    });
    fc.assert(
      fc.property(fc.array(disturbance, { maxLength: 120 }), (disturbances) => {
        const world = new World();
        let status = initialRunStatus('data.v1');
        for (const { kind, step } of disturbances) {
          if (kind === 'work') world.work();
          if (kind === 'down') world.down.add(step);
          if (kind === 'up') world.down.delete(step);
          if (kind === 'remove') world.artifacts.delete(step);
          const present = new Set(world.artifacts.keys());
          const { actions, status: next } = round(world, status);
          for (const action of actions) {
            if (action.type !== 'request') continue;
            expect(present.has(action.step)).toBe(false);
            for (const need of STEP_NEEDS[action.step]) expect(world.down.has(need) || present.has(need)).toBe(true);
          }
          expect(actions.filter((action) => action.type === 'request').length).toBeLessThanOrEqual(1);
          status = next;
        }
        world.down.clear();
        for (let index = 0; index < 60; index += 1) {
          status = round(world, status).status;
          world.work();
        }
        expect(status.phase).toBe('Succeeded');
        expect(world.registered).toBe(1);
        expect(round(world, status).actions).toEqual([]);
      }),
    );
  });

  it('gives the same plan for the same facts', () => {
    const states = fc.constantFrom('queued', 'in-progress', 'completed', 'failed', 'cancelled');
    fc.assert(
      fc.property(fc.array(fc.option(states), { minLength: 6, maxLength: 6 }), fc.boolean(), (found, cancelRequested) => {
        const observed: Observations = Object.fromEntries(
          TOOL_STEPS.map((step, index) => {
            const status = found[index];
            return [step, status == null ? { kind: 'absent' } : { kind: 'present', status: artifact({ status }) }];
          }),
        );
        const run = { status: initialRunStatus('data.v1'), cancelRequested };
        expect(planRun(run, observed)).toEqual(planRun(run, observed));
      }),
    );
  });
});

describe('the step build', () => {
  const begun = () => {
    const status = initialRunStatus('data.v1', RUN_STEP_NAMES);
    return { ...status, steps: status.steps.map((step) => (step.name === 'build' ? step : { ...step, state: 'completed' as const })) };
  };
  const packages = (...phases: ('Ready' | 'Building' | 'Failed' | undefined)[]) =>
    phases.map((phase, index) => ({
      name: `p${index}`,
      status: phase && {
        phase,
        progress: 0.5,
        message: 'compiling',
        error: phase === 'Failed' ? { code: 'BUILD_FAILED', message: 'no compiler' } : null,
      },
    }));
  const plan = (wanted: ReturnType<typeof packages>, cancelRequested = false) =>
    planRun({ status: begun(), cancelRequested, packages: wanted }, {});

  it('makes the packages, waits for them, and ends the run', () => {
    expect(plan(packages(undefined, undefined)).map((action) => action.type)).toEqual(['show', 'build']);
    expect(plan(packages('Ready', 'Building'))).toMatchObject([
      { type: 'show', change: { state: 'running', progress: 0.75, message: '1 of 2 built; p1: compiling' } },
    ]);
    expect(plan(packages('Ready', 'Ready'))).toMatchObject([
      { type: 'show', change: { state: 'completed' } },
      { type: 'finish', phase: 'Succeeded' },
    ]);
  });

  it('fails with the package that failed', () => {
    expect(plan(packages('Building', 'Failed'))).toMatchObject([
      { type: 'show', change: { state: 'failed', message: 'package "p1": no compiler (BUILD_FAILED)' } },
      { type: 'finish', phase: 'Failed', error: { code: 'BUILD_FAILED', message: 'p1: no compiler' } },
    ]);
  });

  it('is cancelled with what is not built yet', () => {
    expect(plan(packages('Ready', 'Building'), true).map((action) => action.type)).toEqual(['dropBuilds', 'show', 'finish']);
  });
});
