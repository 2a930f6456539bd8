import type { Rollout } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { FixtureClock } from '../testing/fixture-resources.ts';
import { rollouts } from '../testing/fixture-rollouts.ts';
import { compareArms, ratioText } from './arms.ts';

const arm = (version: string, requests: number, errors: number, p95Ms: number | null) => ({
  version,
  requests,
  errors,
  p50Ms: null,
  p95Ms,
  meanConfidence: null,
});

function withArms(...arms: Rollout['status']['devices'][number]['arms'][]): Rollout {
  const [rollout] = rollouts(new FixtureClock(1_790_000_000_000));
  const first = rollout?.kind === 'Rollout' ? rollout.status.devices[0] : undefined;
  if (rollout?.kind !== 'Rollout' || first === undefined) throw new Error('the fixture has no rollout with a device');
  return { ...rollout, status: { ...rollout.status, devices: arms.map((own) => ({ ...first, arms: own })) } };
}

describe('compareArms', () => {
  test('pools requests and errors, and takes the median of the latencies and of their ratios', () => {
    const compared = compareArms(
      withArms([arm('3', 10, 1, 20), arm('2', 90, 0, 10)], [arm('1', 60, 3, 40), arm('3', 40, 1, 44)], [arm('3', 7, 7, 9000)], []),
    );
    expect(compared).toEqual({
      devices: 2,
      before: { versions: ['2', '1'], requests: 150, errorRate: 0.02, p95Ms: 25 },
      after: { versions: ['3'], requests: 50, errorRate: 0.04, p95Ms: 32 },
      p95Ratio: (2 + 1.1) / 2,
    });
  });

  test('is nothing while no device has tried both, and has no figure where none was measured', () => {
    expect(compareArms(withArms([], [arm('3', 7, 0, 12)]))).toBeUndefined();
    const quiet = compareArms(withArms([arm('2', 0, 0, null), arm('3', 0, 0, null)]));
    expect(quiet).toMatchObject({ before: { errorRate: null, p95Ms: null }, p95Ratio: null });
  });
});

describe('ratioText', () => {
  test('says what a multiple cannot', () => {
    expect([ratioText(2, 3), ratioText(0, 0), ratioText(0, 0.1), ratioText(null, 1)]).toEqual(['× 1.50', 'both none', 'none before', '–']);
  });
});
