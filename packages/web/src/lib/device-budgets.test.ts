import type { DeviceBudgets } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { budgetForm, budgetOptions, mergeBudgets, readBudgets } from './device-budgets.ts';

const ALL: DeviceBudgets = {
  trafficMiBPerDay: 50,
  cpuLimit: 1.5,
  metered: false,
  defer: { telemetry: 'untilUnmetered' },
  telemetryIntervalS: 300,
};

describe('budgets of a device as a form', () => {
  test('give back what the form was made of; an empty one sets nothing', () => {
    expect(readBudgets(budgetForm(ALL))).toEqual({ budgets: ALL, faults: {} });
    expect(readBudgets({ diskMiB: ' ' })).toEqual({ budgets: undefined, faults: {} });
  });

  test('name the fields that the contract refuses', () => {
    const { faults } = readBudgets({ trafficMiBPerDay: '0', memoryLimitMiB: '16.5', cpuLimit: 'two', diskMiB: '10' });
    expect(Object.keys(faults).toSorted()).toEqual(['cpuLimit', 'memoryLimitMiB', 'trafficMiBPerDay']);
  });

  test('make the options of the command', () => {
    expect(budgetOptions(ALL, { trafficMiBPerDay: 80, cpuLimit: 1.5, defer: ALL.defer, telemetryIntervalS: 300 })).toEqual([
      '--traffic-mib-per-day 80',
      '--metered none',
    ]);
    expect(budgetOptions(ALL, ALL)).toEqual([]);
  });

  test('keep what others have changed, and name what both have', () => {
    const now = { ...ALL, trafficMiBPerDay: 60, diskMiB: 900 };
    expect(mergeBudgets(ALL, { ...ALL, cpuLimit: 2 }, now)).toEqual({ budgets: { ...now, cpuLimit: 2 }, clashes: [] });
    expect(mergeBudgets(ALL, { ...ALL, trafficMiBPerDay: 40 }, now).clashes).toEqual(['Traffic, MiB a day']);
  });
});
