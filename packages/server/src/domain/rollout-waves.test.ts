import type { LinkStanding, RolloutDevice, RolloutPolicy, TrialCheck } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { waveChecks } from './rollout-gates.ts';
import { newRolloutDevice } from './rollout-plan.ts';
import { countOf, settlePolicy } from './rollout-policy.ts';
import { type OrderedDevice, orderDevices, waveSizes } from './rollout-waves.ts';

describe('waves', () => {
  it('are cumulative, rounded up, at least one device, and completed to all', () => {
    expect(waveSizes({ waves: [1, '10%', '100%'] }, 30)).toEqual([1, 2, 27]);
    expect(waveSizes({ waves: [1, '10%'] }, 11)).toEqual([1, 1, 9]);
    expect(waveSizes({ waves: [1, 2, '1%', '100%'] }, 2)).toEqual([1, 1]);
    expect(waveSizes({ waves: [5] }, 0)).toEqual([0]);
    expect(countOf('10%', 30)).toBe(3);
    expect(countOf('0.1%', 30)).toBe(1);
  });

  it('hold every device once, whatever the policy', () => {
    const wave = fc.oneof(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 100 }).map((share) => `${share}%`),
    );
    fc.assert(
      fc.property(fc.array(wave, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 2000 }), (waves, total) => {
        const sizes = waveSizes({ waves }, total);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(total);
        expect(sizes.every((size) => size > 0)).toBe(true);
      }),
    );
  });

  it('have defaults by strategy, and none without a policy', () => {
    expect(settlePolicy({ strategy: 'shadow' })).toMatchObject({ waves: [1, '10%', '100%'], trial: { durationS: 60, minRequests: 0 } });
    expect(settlePolicy({})).toMatchObject({ strategy: 'all-at-once', waves: ['100%'] });
    expect(settlePolicy({ strategy: 'split' })).toMatchObject({ share: 0.1 });
    expect(settlePolicy(undefined)).toEqual({ strategy: 'all-at-once' });
  });
});

describe('the order of devices', () => {
  const device = (name: string, labels: Record<string, string>, online = true, held: object | null = null) =>
    ({ metadata: { name, labels }, status: { online, workloads: [{ held }] } }) as never as OrderedDevice;
  const namesIn = (order: RolloutPolicy['order'], ...devices: OrderedDevice[]) =>
    orderDevices(devices, order).map(({ metadata }) => metadata.name);

  it('is by name, by the values of a label, or by the link, and those that are online come first within that', () => {
    const [a, b, c] = [device('a', { site: 'far' }, false), device('b', { site: 'lab' }), device('c', {}, true, { reason: 'metered' })];
    if (a === undefined || b === undefined || c === undefined) return;
    expect(namesIn(undefined, c, b, a)).toEqual(['b', 'c', 'a']);
    expect(namesIn({ label: 'site', values: ['far', 'lab'] }, c, b, a)).toEqual(['a', 'b', 'c']);
    expect(namesIn({ label: 'site' }, c, b, a)).toEqual(['b', 'a', 'c']);
    expect(namesIn('link', a, c, b)).toEqual(['b', 'c', 'a']);
  });
});

describe('the order by link', () => {
  const LINK = { rttMs: 20, rttP95Ms: 60, samples: 8, reconnectsHour: 0, reconnectsDay: 0, unansweredPings: 0, watchedS: 900 };
  const device = (name: string, link: Partial<LinkStanding> | undefined, online = true, held: object | null = null) => {
    const upkeep = link === undefined ? {} : { link: { ...LINK, downloadBytesPerS: 4e6, wifiDbm: null, ...link } };
    return { metadata: { name, labels: {} }, status: { online, workloads: [{ held }], upkeep } } as never as OrderedDevice;
  };
  const order = (...devices: OrderedDevice[]) => orderDevices(devices, 'link').map(({ metadata }) => metadata.name);

  it('takes quick, fast and steady links first, within those that are online, metered, away', () => {
    const ranked = [
      device('z', {}),
      device('reconnects', { reconnectsHour: 1 }),
      device('slow', { downloadBytesPerS: 1e6 }),
      device('far', { rttMs: 700 }),
      device('unmeasured', undefined),
      device('metered', { rttMs: 1 }, true, { reason: 'metered' }),
      device('away', { rttMs: 1 }, false),
      device('away-unmeasured', undefined, false),
    ];
    const names = ranked.map(({ metadata }) => metadata.name);
    fc.assert(
      fc.property(fc.shuffledSubarray(ranked, { minLength: ranked.length }), (shuffled) => {
        expect(order(...shuffled)).toEqual(names);
      }),
    );
  });

  it('guesses the rate from the round trip while no download was measured, and is by name among equals', () => {
    expect(order(device('far', { downloadBytesPerS: null, rttMs: 300 }), device('near', { downloadBytesPerS: null }))).toEqual([
      'near',
      'far',
    ]);
    expect(order(device('b', {}), device('a', {}), device('d', undefined), device('c', undefined))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('gates over a wave', () => {
  const check = (gate: string, value: number | null, bar: number, samples: number): TrialCheck => ({
    gate,
    value,
    baseline: value === null ? null : 10,
    bar,
    passed: null,
    samples,
  });
  const devices = (...checks: TrialCheck[]): RolloutDevice[] =>
    checks.map((one, index) => ({ ...newRolloutDevice(`d${index}`, 0, '1'), checks: [one] }));

  it('add up crashes, pool shares by their samples, take the median of latencies and the highest temperature', () => {
    expect(waveChecks(devices(check('crashes', 1, 1, 1), check('crashes', 2, 1, 1)))).toMatchObject([{ value: 3, bar: 2, passed: false }]);
    expect(waveChecks(devices(check('errorRate', 0, 0.02, 900), check('errorRate', 0.1, 0.02, 100)))).toMatchObject([
      { value: 0.01, passed: true, samples: 1000 },
    ]);
    expect(waveChecks(devices(check('p95Ratio', 1, 1.3, 9), check('p95Ratio', 9, 1.3, 9), check('p95Ratio', 1.2, 1.3, 9)))).toMatchObject([
      { value: 1.2, passed: true, baseline: 10 },
    ]);
    expect(waveChecks(devices(check('temperatureC', 60, 70, 1), check('temperatureC', 80, 70, 1)))).toMatchObject([{ passed: false }]);
    expect(waveChecks(devices(check('agreement', 0.5, 0.9, 10)))).toMatchObject([{ passed: false }]);
  });

  it('leave out what could not be measured', () => {
    expect(waveChecks(devices(check('temperatureC', null, 70, 0)))).toMatchObject([{ value: null, passed: null }]);
  });
});
