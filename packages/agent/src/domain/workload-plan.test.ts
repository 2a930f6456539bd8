import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep, planWorkload, wakeAtMs } from './workload-plan.ts';
import { afterExit, afterFailure, afterStep, EMPTY_WORKLOAD, type Step, type VersionState, type WorkloadState } from './workload-state.ts';

const KEYS = ['a', 'b', 'c'];
const NOW = 1_000_000;

const key = fc.constantFrom(...KEYS);
const maybeKey = fc.option(key, { nil: null });

/** Any state that the agent can be in: what gets traffic runs, and what runs has files that were verified. */
const state: fc.Arbitrary<WorkloadState> = fc
  .record({
    disks: fc.array(fc.constantFrom('absent', 'unverified', 'verified'), { minLength: 3, maxLength: 3 }),
    processes: fc.array(fc.constantFrom('none', 'running', 'probed', 'standby', 'drained'), { minLength: 3, maxLength: 3 }),
    routed: maybeKey,
    lastServed: maybeKey,
    previous: maybeKey,
    failures: fc.uniqueArray(
      fc.record({ key, attempts: fc.integer({ min: 1, max: 5 }), retryAtMs: fc.integer({ min: NOW - 100, max: NOW + 100 }) }),
      { selector: (failure) => failure.key },
    ),
  })
  .map(({ disks, processes, routed, lastServed, previous, failures }) => {
    const versions = KEYS.map((name, index): VersionState => {
      const process = processes[index]!;
      return { key: name, process, disk: process === 'none' ? disks[index]! : 'verified' };
    }).filter((version) => version.disk !== 'absent');
    const isProbed = versions.some((version) => version.key === routed && version.process === 'probed');
    return {
      versions,
      routed: isProbed ? routed : null,
      lastServed: isProbed ? routed : lastServed,
      previous: previous === (isProbed ? routed : lastServed) ? null : previous,
      failures,
      trial: null,
      mirrored: null,
    };
  });

const LATER = NOW + 10_000;
const versionIn = (current: WorkloadState, name: string) => current.versions.find((version) => version.key === name);

function checkStep(current: WorkloadState, step: Step, desired: string | null, nowMs: number): void {
  const version = versionIn(current, step.key);
  if (step.kind === 'drain' || step.kind === 'stop') {
    if (desired !== null) expect(step.key, 'the version with the traffic is never ended').not.toBe(current.routed);
  }
  if (step.kind === 'start') expect(version?.disk).toBe('verified');
  if (step.kind === 'switch') expect(['probed', 'standby']).toContain(version?.process);
  if (step.kind === 'collect') expect(version?.process ?? 'none').toBe('none');
  const advances = ['fetch', 'verify', 'start', 'probe', 'switch'].includes(step.kind);
  const failure = current.failures.find((known) => known.key === step.key);
  if (advances && failure) expect(failure.retryAtMs, 'a failed version rests').toBeLessThanOrEqual(nowMs);
}

function run(desired: string | null, start: WorkloadState, nowMs: number): { steps: Step[]; end: WorkloadState } {
  const steps: Step[] = [];
  let current = start;
  for (let step = nextStep(desired, current, nowMs); step; step = nextStep(desired, current, nowMs)) {
    checkStep(current, step, desired, nowMs);
    steps.push(step);
    current = afterStep(current, step);
    if (steps.length > 60) throw new Error(`no end: ${JSON.stringify(steps.slice(-10))}`);
  }
  return { steps, end: current };
}

describe('planWorkload', () => {
  it('brings a new version to service in order', () => {
    expect(planWorkload('a', EMPTY_WORKLOAD, NOW).map((step) => step.kind)).toEqual(['fetch', 'verify', 'start', 'probe', 'switch']);
  });

  it('swaps versions without a gap and keeps the previous one', () => {
    const first = run('a', EMPTY_WORKLOAD, NOW).end;
    const second = run('b', first, NOW);
    expect(second.steps.map((step) => `${step.kind} ${step.key}`)).toEqual([
      'fetch b',
      'verify b',
      'start b',
      'probe b',
      'switch b',
      'drain a',
      'stop a',
    ]);
    expect(second.end.previous).toBe('a');
    expect(versionIn(second.end, 'a')?.disk).toBe('unverified');
    const third = run('c', second.end, NOW);
    expect(third.steps.at(-1)).toEqual({ kind: 'collect', key: 'a' });
    expect(third.end.previous).toBe('b');
  });

  it('starts what served before a restart first, then goes on to what is desired', () => {
    const restarted: WorkloadState = { ...EMPTY_WORKLOAD, versions: [{ key: 'a', disk: 'unverified', process: 'none' }], lastServed: 'a' };
    expect(
      planWorkload('b', restarted, NOW)
        .map((step) => `${step.kind} ${step.key}`)
        .slice(0, 5),
    ).toEqual(['verify a', 'start a', 'probe a', 'switch a', 'fetch b']);
  });

  it('serves the previous version while a corrupted one is fetched again', () => {
    const served = run('b', run('a', EMPTY_WORKLOAD, NOW).end, NOW).end;
    const broken = afterFailure(served, { key: 'b', attempts: 1, retryAtMs: NOW + 500 }, true);
    expect(run('b', broken, NOW).end.routed).toBe('a');
    expect(run('b', run('b', broken, NOW).end, LATER).end.routed).toBe('b');
  });

  it('falls back when a version crashes again and again, and leaves a first crash to a restart', () => {
    const served = run('b', run('a', EMPTY_WORKLOAD, NOW).end, NOW).end;
    const once = afterFailure(served, { key: 'b', attempts: 1, retryAtMs: NOW + 500 }, false);
    expect(nextStep('b', once, NOW)).toBeUndefined();
    expect(wakeAtMs(once, NOW)).toBe(NOW + 500);
    const twice = afterFailure(served, { key: 'b', attempts: 2, retryAtMs: NOW + 500 }, false);
    expect(run('b', twice, NOW).end.routed).toBe('a');
  });

  it('reaches the desired version from any state once nothing has to wait', () => {
    fc.assert(
      fc.property(state, maybeKey, (start, desired) => {
        const { end } = run(desired, start, LATER);
        expect(end.routed).toBe(desired);
        const running = end.versions.filter((version) => version.process !== 'none').map((version) => version.key);
        expect(running).toEqual(desired === null ? [] : [desired]);
        const allowed = desired === null ? [] : [desired, end.previous];
        for (const version of end.versions) expect(allowed).toContain(version.key);
        expect(nextStep(desired, end, LATER)).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps its invariants and ends while versions have to wait, and serves something whenever it can', () => {
    fc.assert(
      fc.property(state, key, (start, desired) => {
        const { end } = run(desired, start, NOW);
        if (start.routed !== null) expect(end.routed).not.toBeNull();
        if (end.routed !== desired) expect(wakeAtMs(end, NOW), 'it waits only for a failed version').toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });

  it('converges through crashes, failed steps and changes of mind', () => {
    const event = fc.record({ fail: fc.boolean(), filesLost: fc.boolean(), crash: fc.option(key, { nil: null }), desired: maybeKey });
    fc.assert(
      fc.property(state, fc.array(event, { maxLength: 40 }), maybeKey, (start, events, last) => {
        let current = start;
        let now = NOW;
        for (const { fail, filesLost, crash, desired } of events) {
          now += 50;
          if (crash !== null) current = afterExit(current, crash);
          const step = nextStep(desired, current, now);
          if (!step) continue;
          checkStep(current, step, desired, now);
          const attempts = (current.failures.find((known) => known.key === step.key)?.attempts ?? 0) + 1;
          const failed = fail && !['drain', 'stop', 'collect', 'switch'].includes(step.kind);
          current = failed
            ? afterFailure(current, { key: step.key, attempts, retryAtMs: now + 100 * attempts }, filesLost)
            : afterStep(current, step);
        }
        expect(run(last, current, now + 100_000).end.routed).toBe(last);
      }),
      { numRuns: 1000 },
    );
  });
});
