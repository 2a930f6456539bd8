import type { PipelineSpec } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { artifact, GRAPH, NOW, PIPELINE, round, runSpec, TOOL_STEPS, toTheEnd, World } from '../testing/run-world.ts';
import type { Observations } from './run-actions.ts';
import { planRun } from './run-plan.ts';
import { initialRunStatus } from './run-status.ts';
import { openSteps } from './run-view.ts';
import { readsOf, stepGraphOf } from './step-graph.ts';

describe('planRun', () => {
  it('asks for each step once, in order, and succeeds', () => {
    const world = new World();
    const status = toTheEnd(world, world.begin());
    expect(world.requests).toEqual(TOOL_STEPS);
    expect(world.registered).toBe(1);
    expect(status.phase).toBe('Succeeded');
    expect(status.steps.map((step) => step.state)).toEqual(Array(7).fill('completed'));
  });

  it('takes an import that is there already as done', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'completed' }));
    const { status } = round(world, world.begin());
    expect(openSteps({ graph: GRAPH, status }).map((step) => step.id)).toEqual(['process']);
    expect(world.requests).toEqual([]);
  });

  it('says that a tool is down and leaves the state of the step as it was', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'in-progress' }));
    const running = round(world, world.begin()).status;
    world.down.add('import');
    const { status } = round(world, running);
    expect(status.steps[0]).toMatchObject({ state: 'running', message: 'down' });
    expect(status.phase).toBe('Running');
  });

  it("fails with the tool's own error and skips the rest", () => {
    const world = new World();
    const error = { code: 'DATASET_FORMAT', message: 'bad data', hint: 'Mend it.' };
    world.artifacts.set('import', artifact({ status: 'failed', error }));
    const { status } = round(world, world.begin());
    expect(status.phase).toBe('Failed');
    expect(status.message).toBe('Step "import" failed: bad data (DATASET_FORMAT) Mend it.');
    expect(status.error).toEqual(error);
    expect(status.steps.map((step) => step.state)).toEqual(['failed', ...Array(6).fill('skipped')]);
  });

  it('cancels the artifact under way, then the run', () => {
    const world = new World();
    world.artifacts.set('import', artifact({ status: 'completed' }));
    let { status } = round(world, world.begin());
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
    const { status, actions } = round(world, world.begin(), true);
    expect(actions.some((action) => action.type === 'cancel')).toBe(false);
    expect(status.phase).toBe('Cancelled');
  });

  it('makes an input again that was removed before the step that reads it', () => {
    const world = new World();
    let status = world.begin();
    while (!openSteps({ graph: GRAPH, status }).some((step) => step.id === 'train')) {
      status = round(world, status).status;
      world.work();
    }
    world.artifacts.delete('split');
    world.artifacts.delete('train');
    world.requests.length = 0;
    status = toTheEnd(world, status);
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
        let status = world.begin();
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
            const reads = GRAPH.filter((step) => step.id === action.step).flatMap(readsOf);
            for (const need of reads) expect(world.down.has(need) || present.has(need)).toBe(true);
          }
          expect(actions.filter((action) => action.type === 'request').length).toBeLessThanOrEqual(1);
          status = next;
        }
        world.down.clear();
        status = toTheEnd(world, status);
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
        const world = new World();
        const run = { spec: runSpec(PIPELINE), graph: GRAPH, status: world.begin(), cancelRequested, nowIso: NOW };
        expect(planRun(run, observed)).toEqual(planRun(run, observed));
      }),
    );
  });
});

describe('the step build', () => {
  const SPEC: PipelineSpec = { ...PIPELINE, build: { targets: ['linux-amd64'] } };
  const BUILDING = stepGraphOf(SPEC);
  const begun = () => {
    const status = initialRunStatus(BUILDING, 'data.v1');
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
    planRun({ spec: runSpec(SPEC), graph: BUILDING, status: begun(), cancelRequested, nowIso: NOW, packages: wanted }, {});

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
      { type: 'finish', phase: 'Failed', error: { code: 'BUILD_FAILED', message: 'package "p1": no compiler' } },
    ]);
  });

  it('is cancelled with what is not built yet', () => {
    expect(plan(packages('Ready', 'Building'), true).map((action) => action.type)).toEqual(['dropBuilds', 'show', 'finish']);
  });
});
