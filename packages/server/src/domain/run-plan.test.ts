import { type ArtifactStatus, type PipelineSpec, pipelineSpecSchema, type RunSpec, type RunStatus, type RunStep } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observations, RunAction } from './run-actions.ts';
import { planRun, stepsToObserve } from './run-plan.ts';
import { ownArtifact } from './run-requests.ts';
import { applyToStatus, initialRunStatus } from './run-status.ts';
import { isFinishedPhase, openSteps } from './run-view.ts';
import { type GraphStep, makesArtifact, readsOf, stepGraphOf } from './step-graph.ts';

const NOW = '2026-01-02T03:04:05.000Z';
const context = { nowIso: NOW, artifactOf: (step: RunStep) => ownArtifact('run', step) };

const PIPELINE: PipelineSpec = {
  dataset: { name: 'data', path: { train: 'train', test: 'test' } },
  preproc: { pipeline: ['hwctochw'] },
  model: { name: 'thing', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
  postproc: { pipeline: ['softmax'] },
};
const runSpec = (pipelineSpec: PipelineSpec): RunSpec => ({
  pipeline: 'pipe',
  pipelineGeneration: 1,
  pipelineSpec,
  dataset: { name: 'data', version: 1, digest: 'd'.repeat(64), artifact: 'data.v1' },
  cause: { type: 'manual', by: 'test' },
});
const GRAPH = stepGraphOf(PIPELINE);
const TOOL_STEPS = GRAPH.filter(makesArtifact).map((step) => step.id);

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

function round(world: World, status: RunStatus, cancelRequested = false) {
  const nowIso = new Date(world.nowMs).toISOString();
  const actions = planRun({ spec: runSpec(world.spec), graph: world.graph, status, cancelRequested, nowIso }, world.observe(status));
  let next = applyToStatus(status, actions, { ...context, nowIso });
  for (const action of actions) next = applyToStatus(next, world.act(action, next), { ...context, nowIso });
  return { status: next, actions };
}

function toTheEnd(world: World, from: RunStatus, rounds = 60): RunStatus {
  let status = from;
  for (let index = 0; index < rounds && !isFinishedPhase(status.phase); index += 1) {
    status = round(world, status).status;
    world.work();
  }
  return status;
}

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

describe('a pipeline with steps', () => {
  const steps = (list: unknown[]): PipelineSpec => pipelineSpecSchema.parse({ ...PIPELINE, steps: list });
  const states = (status: RunStatus) => Object.fromEntries(status.steps.map((step) => [step.name, step.state]));

  it('does at the same time what does not need one another', () => {
    const world = new World(
      steps([
        { id: 'join', tool: 'three', inputs: { a: 'left', b: 'right' } },
        { id: 'left', tool: 'one', inputs: { data: 'dataset' } },
        { id: 'right', tool: 'two', inputs: { data: 'dataset' } },
      ]),
    );
    world.artifacts.set('dataset', artifact({ status: 'completed' }));
    let { status } = round(world, world.begin());
    ({ status } = round(world, status));
    expect(world.requests).toEqual(['left', 'right']);
    status = toTheEnd(world, status);
    expect(world.requests).toEqual(['left', 'right', 'join']);
    expect(status).toMatchObject({ phase: 'Succeeded', message: 'completed' });
  });

  it('tries a step that failed again, later each time, as often as it says', () => {
    const world = new World(steps([{ id: 'only', tool: 'one', retries: 2, backoffS: 10 }]));
    world.failing.set('only', 2);
    let status = toTheEnd(world, world.begin(), 4);
    expect(status.steps[0]).toMatchObject({ state: 'pending', try: 2, retryAt: new Date(world.nowMs + 10_000).toISOString() });
    status = toTheEnd(world, status, 5);
    expect(world.requests).toHaveLength(1);
    world.nowMs += 10_000;
    status = toTheEnd(world, status, 5);
    expect(status.steps[0]).toMatchObject({ try: 3, retryAt: new Date(world.nowMs + 20_000).toISOString() });
    world.nowMs += 20_000;
    status = toTheEnd(world, status);
    expect(status).toMatchObject({ phase: 'Succeeded', steps: [{ state: 'completed', artifact: 'run.only.3' }] });
  });

  it('fails when all tries have, and ends what else is at work first', () => {
    const world = new World(
      steps([
        { id: 'bad', tool: 'one' },
        { id: 'slow', tool: 'two' },
        { id: 'after', tool: 'three', needs: ['bad'] },
      ]),
    );
    let { status } = round(world, world.begin());
    world.artifacts.set('bad', artifact({ status: 'failed', error: { code: 'DATASET_FORMAT', message: 'bad' } }));
    world.artifacts.set('slow', artifact({ status: 'in-progress' }));
    ({ status } = round(world, status));
    expect(status.phase).toBe('Running');
    const ending = round(world, status);
    expect(ending.actions).toContainEqual({ type: 'cancel', step: 'slow' });
    ({ status } = round(world, ending.status));
    expect(status).toMatchObject({ phase: 'Failed', error: { code: 'DATASET_FORMAT' } });
    expect(states(status)).toEqual({ bad: 'failed', slow: 'cancelled', after: 'skipped' });
  });

  it('ends a step at its timeout, and the process of a tool that does not let go', () => {
    const world = new World(steps([{ id: 'hang', tool: 'one', timeoutS: 60 }]));
    world.artifacts.set('hang', artifact({ status: 'in-progress' }));
    let { status, actions } = round(world, world.begin());
    expect(actions.map((action) => action.type)).toEqual(['show']);
    world.nowMs += 61_000;
    ({ status, actions } = round(world, status));
    expect(actions.map((action) => action.type)).toEqual(['show', 'cancel']);
    world.artifacts.set('hang', artifact({ status: 'in-progress' }));
    world.nowMs += 11_000;
    ({ status, actions } = round(world, status));
    expect(world.killed).toEqual(['hang']);
    ({ status } = round(world, status));
    expect(status).toMatchObject({ phase: 'Failed', error: { code: 'TIMEOUT' }, steps: [{ state: 'failed' }] });
  });

  it('skips what its condition rules out, and what needs that', () => {
    const spec = steps([
      { id: 'check', tool: 'one' },
      { id: 'good', tool: 'two', when: 'steps.check.metrics.accuracy >= 0.9' },
      { id: 'bad', tool: 'two', when: '${{ steps.check.metrics.accuracy }} < 0.9' },
      { id: 'last', tool: 'three', needs: ['bad'] },
    ]);
    const world = new World(spec);
    const begun = world.begin();
    const status = {
      ...begun,
      steps: begun.steps.map((step, at) => (at === 0 ? { ...step, state: 'completed' as const, metrics: { accuracy: 0.95 } } : step)),
    };
    const ended = toTheEnd(world, status);
    expect(states(ended)).toEqual({ check: 'completed', good: 'completed', bad: 'skipped', last: 'skipped' });
    expect(ended.phase).toBe('Succeeded');
    expect(ended.steps[2]?.message).toBe('its condition does not hold: 0.95 < 0.9');
    const without = toTheEnd(world, {
      ...begun,
      steps: begun.steps.map((step, at) => (at === 0 ? { ...step, state: 'completed' as const } : step)),
    });
    expect(without.error).toEqual({ code: 'INPUT_INVALID', message: 'Step "check" has no metric "accuracy"; there are none.' });
  });

  it('takes what an earlier run has made, and says whose it is', () => {
    const world = new World(steps([{ id: 'only', tool: 'one' }]));
    const cached = { artifact: 'earlier-1.only', from: 'earlier-1.only', results: { metrics: { loss: 1 } } };
    const prepared = { parameters: {}, toolVersion: '1', codeDigest: 'c', key: 'a'.repeat(64), cached };
    const status = world.begin();
    const run = { spec: runSpec(world.spec), graph: world.graph, status, cancelRequested: false, nowIso: NOW };
    const actions = planRun(run, { only: { kind: 'absent', prepared } });
    expect(applyToStatus(status, actions, context)).toMatchObject({
      phase: 'Succeeded',
      steps: [
        {
          state: 'completed',
          artifact: 'earlier-1.only',
          cachedFrom: 'earlier-1.only',
          message: 'cached from earlier-1.only',
          metrics: { loss: 1 },
        },
      ],
    });
  });

  it('comes to an end in any graph whatever fails, and never begins a step before what it needs', () => {
    const graphs = fc.integer({ min: 1, max: 7 }).chain((count) =>
      fc.tuple(
        ...Array.from({ length: count }, (_, at) =>
          fc.record({
            needs: fc.subarray(Array.from({ length: at }, (_unused, before) => `s${before}`)),
            retries: fc.integer({ min: 0, max: 2 }),
            failures: fc.integer({ min: 0, max: 2 }),
          }),
        ),
      ),
    );
    fc.assert(
      fc.property(graphs, fc.option(fc.integer({ min: 0, max: 20 })), (list, cancelAt) => {
        const world = new World(
          steps(list.map(({ needs, retries }, at) => ({ id: `s${at}`, tool: `t${at % 3}`, needs, retries, backoffS: 1 }))),
        );
        for (const [at, { failures }] of list.entries()) world.failing.set(`s${at}`, failures);
        let status = world.begin();
        for (let index = 0; index < 200 && !isFinishedPhase(status.phase); index += 1) {
          const before = status;
          const asked = round(world, status, cancelAt !== null && index >= cancelAt);
          for (const action of asked.actions) {
            if (action.type !== 'request') continue;
            const needs = world.graph.find((step) => step.id === action.step)?.needs ?? [];
            for (const need of needs) expect(before.steps.find((step) => step.name === need)?.state).toBe('completed');
          }
          status = asked.status;
          world.work();
          world.nowMs += 1000;
        }
        expect(isFinishedPhase(status.phase)).toBe(true);
        expect([...world.artifacts.values()].filter(({ status: state }) => state === 'queued' || state === 'in-progress')).toEqual([]);
        if (cancelAt === null) expect(status.phase).toBe(list.some(({ failures, retries }) => failures > retries) ? 'Failed' : 'Succeeded');
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
