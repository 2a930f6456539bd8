import { type DeviceBudgets, deviceBudgetsSchema } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveBudgets } from './effective-budgets.ts';

describe('budgets in effect', () => {
  it('are the smaller limit and the longer interval, and say whose they are', () => {
    const own: DeviceBudgets = { trafficMiBPerDay: 5, diskMiB: 900, telemetryIntervalS: 60, cpuLimit: 1 };
    const told: DeviceBudgets = { trafficMiBPerDay: 50, diskMiB: 300, telemetryIntervalS: 600, memoryLimitMiB: 128 };
    const { values, inEffect } = effectiveBudgets(own, told);
    expect(values).toEqual({ trafficMiBPerDay: 5, diskMiB: 300, memoryLimitMiB: 128, cpuLimit: 1, telemetryIntervalS: 600 });
    expect(inEffect).toEqual([
      { name: 'trafficMiBPerDay', value: 5, from: 'device', other: 50 },
      { name: 'diskMiB', value: 300, from: 'server', other: 900 },
      { name: 'memoryLimitMiB', value: 128, from: 'server' },
      { name: 'cpuLimit', value: 1, from: 'device' },
      { name: 'telemetryIntervalS', value: 600, from: 'server', other: 60 },
    ]);
  });

  it.each([
    [undefined, true, true, 'server'],
    [false, true, true, 'server'],
    [false, false, false, 'device'],
    ['auto', false, 'auto', 'device'],
    [true, false, true, 'device'],
    [undefined, false, false, 'server'],
  ] as const)('metered: %s on the device, %s at the server make %s of the %s', (own, told, value, from) => {
    const { values, inEffect } = effectiveBudgets(own === undefined ? {} : { metered: own }, { metered: told });
    expect(values.metered).toBe(value);
    expect(inEffect).toMatchObject([{ name: 'metered', value, from }]);
  });

  it('let kept telemetry wait when either side says so', () => {
    const deferred = { defer: { telemetry: 'untilUnmetered' } } as const;
    for (const [own, told, from] of [
      [deferred, {}, 'device'],
      [{}, deferred, 'server'],
    ] as const) {
      const { values, inEffect } = effectiveBudgets(own, told);
      expect(values).toEqual(deferred);
      expect(inEffect).toEqual([{ name: 'defer', value: 'telemetry untilUnmetered', from }]);
    }
  });

  it('are nothing where nobody has set anything, and valid whatever both have set', () => {
    expect(effectiveBudgets({}, undefined)).toEqual({ values: {}, inEffect: [] });
    const limit = fc.option(fc.double({ min: 16, max: 1000, noNaN: true }), { nil: undefined });
    const side = fc.record({ trafficMiBPerDay: limit, cpuLimit: limit, resultsIntervalS: limit });
    fc.assert(
      fc.property(side, side, (own, told) => {
        const { values } = effectiveBudgets(own, told);
        expect(deviceBudgetsSchema.safeParse(values).success).toBe(true);
        const given = [own.trafficMiBPerDay, told.trafficMiBPerDay].filter((value) => value !== undefined);
        expect(values.trafficMiBPerDay).toBe(given.length === 0 ? undefined : Math.min(...given));
      }),
    );
  });
});
