import type { AnyResource, Rollout, RolloutDevice, TrialCheck } from '@selvedge/contract';
import { type FixtureClock, metadata } from './fixture-resources.ts';

const check = (gate: string, value: number | null, bar: number, passed: boolean | null, baseline: number | null = null): TrialCheck => ({
  gate,
  value,
  baseline,
  bar,
  passed,
  samples: value === null ? 0 : 412,
});

function device(name: string, wave: number, state: RolloutDevice['state'], more: Partial<RolloutDevice> = {}): RolloutDevice {
  return {
    device: name,
    wave,
    state,
    fromVersion: '2',
    releasedAt: null,
    finishedAt: null,
    checks: [],
    arms: [],
    message: '',
    revertedInMs: null,
    transfer: null,
    ...more,
  };
}

const TRANSFER = { fetchedBytes: 3_410_000, wholeBytes: 14_200_000, sharedBytes: 4120, patchedBytes: 14_190_000 };
const GOOD = [check('crashes', 0, 0, true), check('p95Ratio', 1.08, 1.3, true, 12.4), check('confidencePsi', 0.06, 0.2, true)];
const BAD = [check('crashes', 0, 0, true), check('p95Ratio', 2.47, 1.3, false, 12.1), check('temperatureC', null, 80, null)];
const ARMS = [
  { version: '2', requests: 371, errors: 0, p50Ms: 8.1, p95Ms: 12.4, meanConfidence: 0.91 },
  { version: '3', requests: 41, errors: 1, p50Ms: 8.4, p95Ms: 13.4, meanConfidence: 0.93 },
];

function rollout(name: string, clock: FixtureClock, spec: Partial<Rollout['spec']>, status: Partial<Rollout['status']>): Rollout {
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Rollout',
    metadata: metadata(name, clock.ago(12)),
    spec: {
      inferenceModel: 'digits',
      generation: 2,
      model: 'digits',
      fromVersion: '2',
      toVersion: '3',
      policy: { strategy: 'split', waves: [1, '100%'], share: 0.1, trial: { durationS: 300, minRequests: 0 }, gates: { p95Ratio: 1.3 } },
      cause: 'an edit of the InferenceModel (generation 2)',
      ...spec,
    },
    status: {
      phase: 'running',
      attempt: 1,
      wave: 1,
      waves: [],
      devices: [],
      message: '',
      startedAt: clock.ago(12),
      finishedAt: null,
      golden: null,
      ...status,
    },
  };
}

/** One in its second wave, and one that failed. */
export function rollouts(clock: FixtureClock): AnyResource[] {
  const wave = { startedAt: clock.ago(12), finishedAt: null, message: '' };
  const running = rollout(
    'digits-2',
    clock,
    {},
    {
      waves: [
        { ...wave, index: 0, devices: 1, state: 'passed', finishedAt: clock.ago(6), checks: GOOD },
        { ...wave, index: 1, devices: 4, state: 'running', checks: [] },
      ],
      devices: [
        device('edge-1', 0, 'passed', {
          checks: GOOD,
          arms: ARMS,
          releasedAt: clock.ago(12),
          finishedAt: clock.ago(6),
          transfer: TRANSFER,
        }),
        device('edge-2', 1, 'on-trial', { checks: [check('p95Ratio', 1.2, 1.3, true, 11.8)], releasedAt: clock.ago(5) }),
        device('edge-3', 1, 'updating', { message: 'Held (window): takes a version up from 02:00 to 04:00', releasedAt: clock.ago(5) }),
        device('old-scanner', 1, 'catching-up', { message: 'Offline; it catches up when it is back.', releasedAt: clock.ago(5) }),
        device('warehouse-north.line-4.camera-over-the-conveyor-belt-left-side-second-unit', 1, 'waiting'),
      ],
    },
  );
  const message = 'Wave 1 failed: 1 of 1 devices failed, 0 may. gate-cam: WORKLOAD_FAILED: p95Ratio 2.47 > 1.3';
  const failed = rollout(
    'digits-gate-1',
    clock,
    { inferenceModel: 'digits-gate' },
    {
      phase: 'failed',
      wave: 0,
      message,
      finishedAt: clock.ago(3),
      waves: [
        { ...wave, index: 0, devices: 1, state: 'failed', finishedAt: clock.ago(4), checks: BAD, message: '1 of 1 devices failed, 0 may.' },
      ],
      devices: [
        device('gate-cam', 0, 'reverted', { checks: BAD, revertedInMs: 84, message: 'p95Ratio 2.47 > 1.3 Serves version 2 again.' }),
      ],
    },
  );
  return [running, failed];
}
