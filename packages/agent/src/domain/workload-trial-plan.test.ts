import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep } from './workload-plan.ts';
import {
  afterExit,
  afterFailedTrial,
  afterFailure,
  afterPassedTrial,
  afterStep,
  EMPTY_WORKLOAD,
  type Step,
  type TrialState,
  versionOf,
  type WorkloadState,
} from './workload-state.ts';

const NOW = 1_000_000;
const LATER = NOW + 10_000_000;
const mode = fc.constantFrom('serve', 'shadow', 'split');

/** Runs to the end, or to where it waits for a verdict. */
function run(desired: string, start: WorkloadState, nowMs = LATER): { steps: string[]; end: WorkloadState } {
  const steps: string[] = [];
  let current = start;
  for (let step = nextStep(desired, current, nowMs); step; step = nextStep(desired, current, nowMs)) {
    check(desired, current, step);
    steps.push(`${step.kind} ${step.key}`);
    current = afterStep(current, step);
    if (steps.length > 60) throw new Error(`no end: ${steps.slice(-10).join(', ')}`);
  }
  return { steps, end: current };
}

function check(desired: string, current: WorkloadState, step: Step): void {
  const { trial } = current;
  const onTrial = trial?.key === desired ? trial : null;
  if (step.kind === 'switch' || step.kind === 'mirror') {
    expect(['probed', 'standby']).toContain(versionOf(current, step.key).process);
    if (onTrial?.key === step.key) expect(['ready', 'running', 'passed'], 'no traffic before its tests').toContain(onTrial.phase);
  }
  if (step.kind === 'drain' || step.kind === 'stop') {
    expect(step.key, 'the version with the traffic is never ended').not.toBe(current.routed);
    expect(step.key, 'what is behind the proxy is never ended').not.toBe(current.mirrored);
  }
  if (step.kind === 'collect') {
    expect(versionOf(current, step.key).process).toBe('none');
    if (onTrial !== null) expect([onTrial.stable, onTrial.key]).not.toContain(step.key);
  }
}

const serving: WorkloadState = run('old', EMPTY_WORKLOAD).end;
const begin = (more: Partial<TrialState> = {}): WorkloadState => ({
  ...serving,
  trial: { id: 't', key: 'new', stable: 'old', mode: 'serve', phase: 'ready', isWarm: true, ...more },
});
/** After a restart of the agent: no process, files to be verified, what was persisted. */
const restarted = (state: WorkloadState): WorkloadState => ({
  ...state,
  versions: state.versions.map(({ key, disk }) => ({ key, disk: disk === 'absent' ? 'absent' : 'unverified', process: 'none' })),
  routed: null,
  mirrored: null,
  failures: [],
  trial: state.trial === null ? null : { ...state.trial, isWarm: true },
});

describe('a trial in the plan', () => {
  it('keeps the version of before beside the new one, and ends it when the trial has passed', () => {
    const { steps, end } = run('new', begin({ phase: 'preparing' }));
    expect(steps).toEqual(['fetch new', 'verify new', 'start new', 'probe new', 'test new', 'switch new', 'release old']);
    expect(versionOf(end, 'old').process).toBe('standby');
    const passed = run('new', afterPassedTrial(end));
    expect(passed.steps).toEqual(['stop old']);
    expect(passed.end).toMatchObject({ routed: 'new', previous: 'old' });
  });

  it('goes back by one switch when the trial has failed', () => {
    const { steps, end } = run('new', afterFailedTrial(run('new', begin()).end));
    expect(steps).toEqual(['switch old', 'drain new', 'stop new']);
    expect(end).toMatchObject({ routed: 'old', lastServed: 'old' });
    expect(nextStep('new', end, LATER)).toBeUndefined();
  });

  it('starts the version of before again when there was no memory to keep it', () => {
    const { steps, end } = run('new', begin({ isWarm: false }));
    expect(steps.slice(-3)).toEqual(['switch new', 'drain old', 'stop old']);
    expect(run('new', afterFailedTrial(end)).steps).toEqual([
      'verify old',
      'start old',
      'probe old',
      'switch old',
      'drain new',
      'stop new',
    ]);
  });

  it.each(['shadow', 'split'] as const)('puts the new version beside the old one with mode %s', (kind) => {
    const { steps, end } = run('new', begin({ mode: kind }));
    expect(steps).toEqual(['fetch new', 'verify new', 'start new', 'probe new', 'mirror new']);
    expect(end).toMatchObject({ routed: 'old', mirrored: 'new', lastServed: 'old' });
    expect(run('new', afterPassedTrial(end)).steps).toEqual(['switch new', 'drain old', 'stop old']);
    expect(run('new', afterFailedTrial(end)).steps).toEqual(['switch old', 'drain new', 'stop new']);
  });

  it('does nothing for a version that failed its tests when there is none to go back to', () => {
    const first: WorkloadState = { ...EMPTY_WORKLOAD, trial: { ...begin().trial!, stable: null, phase: 'preparing' } };
    const tested = run('new', { ...first, trial: { ...first.trial!, phase: 'failed' } });
    expect(tested).toMatchObject({ steps: [], end: { routed: null } });
    const inTraffic = run('new', { ...first, trial: { ...first.trial!, phase: 'ready' } }).end;
    expect(run('new', afterFailedTrial(inTraffic)).end.routed).toBe('new');
  });

  it('holds a change, and neither what serves nor a trial that runs', () => {
    const hold = { fetch: false, start: true };
    const fetched = afterStep(afterStep(begin(), { kind: 'fetch', key: 'new' }), { kind: 'verify', key: 'new' });
    expect(nextStep('new', begin(), NOW, hold)?.kind).toBe('fetch');
    expect(nextStep('new', begin(), NOW, { fetch: true, start: true })).toBeUndefined();
    expect(nextStep('new', fetched, NOW, hold)).toBeUndefined();
    expect(nextStep('new', restarted(fetched), NOW, hold)).toEqual({ kind: 'verify', key: 'old' });
    const running = run('new', begin()).end;
    expect(nextStep('new', afterFailedTrial(running), NOW, hold)).toEqual({ kind: 'switch', key: 'old' });
    const beside = run('new', begin({ mode: 'shadow' })).end;
    expect(nextStep('new', afterPassedTrial(beside), NOW, hold)).toEqual({ kind: 'switch', key: 'new' });
  });

  const event = fc.constantFrom('step', 'step', 'step', 'step', 'fail', 'crash old', 'crash new', 'restart', 'passed', 'failed', 'cold');

  it('ends in the old or the new version, through crashes, failed steps, restarts and verdicts, never in neither', () => {
    fc.assert(
      fc.property(
        mode,
        fc.boolean(),
        fc.array(event, { maxLength: 60 }),
        fc.constantFrom('passed', 'failed'),
        (kind, golden, events, last) => {
          let state = begin({ mode: kind, phase: golden ? 'preparing' : 'ready' });
          let now = NOW;
          for (const what of events) {
            now += 50;
            state = happen(state, what, now);
          }
          const { phase } = run('new', state).end.trial!;
          const waiting = run('new', state).end;
          if (phase === 'running') state = last === 'passed' ? afterPassedTrial(waiting) : afterFailedTrial(waiting);
          else state = waiting;
          const { end } = run('new', state);
          expect(end.routed).toBe(end.trial?.phase === 'failed' ? 'old' : 'new');
          expect(end.mirrored).toBeNull();
          expect(end.versions.filter((version) => version.process !== 'none').map(({ key }) => key)).toEqual([end.routed]);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('never takes the traffic from what serves while it waits, and can go back to the old version from every state', () => {
    fc.assert(
      fc.property(mode, fc.boolean(), fc.array(event, { maxLength: 40 }), (kind, golden, events) => {
        let state = begin({ mode: kind, phase: golden ? 'preparing' : 'ready' });
        let now = NOW;
        for (const what of events) {
          now += 50;
          state = happen(state, what, now);
          if (state.trial?.phase === 'passed') return;
          expect(run('new', afterFailedTrial(state)).end.routed).toBe('old');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function happen(state: WorkloadState, what: string, now: number): WorkloadState {
  if (what === 'restart') return restarted(state);
  if (what === 'cold') return { ...state, trial: { ...state.trial!, isWarm: false } };
  if (what.startsWith('crash')) {
    const name = what.slice(6);
    if (versionOf(state, name).process === 'none') return state;
    return afterFailure(state, { key: name, attempts: 1, retryAtMs: now + 100 }, false);
  }
  if (what === 'passed') return state.trial?.phase === 'running' ? afterPassedTrial(state) : state;
  if (what === 'failed') return ['passed', 'failed'].includes(state.trial!.phase) ? state : afterFailedTrial(state);
  const step = nextStep('new', state, now);
  if (step === undefined) return state;
  check('new', state, step);
  if (what === 'fail' && ['fetch', 'verify', 'start', 'probe', 'test', 'mirror'].includes(step.kind))
    return afterFailure(afterExit(state, step.key), { key: step.key, attempts: 1, retryAtMs: now + 100 }, false);
  const next = afterStep(state, step);
  if (state.routed !== null && step.kind !== 'drain') expect(next.routed).not.toBeNull();
  return next;
}
