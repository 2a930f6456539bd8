import { type PipelineSpec, pipelineSpecSchema, type RunStatus } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { artifact, context, NOW, PIPELINE, round, runSpec, toTheEnd, World } from '../testing/run-world.ts';
import { planRun } from './run-plan.ts';
import { applyToStatus } from './run-status.ts';
import { isFinishedPhase } from './run-view.ts';

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
      { id: 'bad', tool: 'two', when: `\${{ steps.check.metrics.accuracy }} < 0.9` },
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
