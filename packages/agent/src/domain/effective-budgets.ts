import type { BudgetInEffect, BudgetName, DeviceBudgets } from '@selvedge/contract';

/** Of which the greater value is the stricter one. */
const INTERVALS = ['telemetryIntervalS', 'telemetryBatchS', 'resultsIntervalS'] as const satisfies readonly BudgetName[];
const LIMITS = ['trafficMiBPerDay', 'diskMiB', 'spoolMiB', 'memoryLimitMiB', 'cpuLimit'] as const satisfies readonly BudgetName[];

export interface EffectiveBudgets {
  values: DeviceBudgets;
  /** What is set, and by whom; what nobody has set is not in it. */
  inEffect: BudgetInEffect[];
}

function chosen<T extends BudgetInEffect['value']>(
  name: BudgetName,
  own: T | undefined,
  told: T | undefined,
  ownHolds: boolean,
): { value: T; inEffect: BudgetInEffect } | undefined {
  const value = ownHolds ? own : told;
  const other = ownHolds ? told : own;
  if (value === undefined) return undefined;
  const inEffect: BudgetInEffect = { name, value, from: ownHolds ? 'device' : 'server' };
  return { value, inEffect: other === undefined || other === value ? inEffect : { ...inEffect, other } };
}

function ownNumberHolds(own: number | undefined, told: number | undefined, isInterval: boolean): boolean {
  if (own === undefined || told === undefined) return own !== undefined;
  return isInterval ? own >= told : own <= told;
}

/** That a link is metered is the stricter word; else the device knows its links better than anybody. */
function ownMeteredHolds(own: DeviceBudgets['metered'], told: DeviceBudgets['metered']): boolean {
  return own !== undefined && (own === true || told !== true);
}

/**
 * What an agent keeps to, of what its device has set and what the server has told: of two values the stricter one, which is the smaller
 * limit and the longer interval.
 */
export function effectiveBudgets(own: DeviceBudgets, told: DeviceBudgets = {}): EffectiveBudgets {
  const values: DeviceBudgets = {};
  const inEffect: BudgetInEffect[] = [];
  for (const name of [...LIMITS, ...INTERVALS]) {
    const isInterval = INTERVALS.some((interval) => interval === name);
    const found = chosen<number>(name, own[name], told[name], ownNumberHolds(own[name], told[name], isInterval));
    if (found === undefined) continue;
    values[name] = found.value;
    inEffect.push(found.inEffect);
  }
  const telemetry = chosen<'untilUnmetered'>('defer', own.defer?.telemetry, told.defer?.telemetry, own.defer?.telemetry !== undefined);
  if (telemetry !== undefined) {
    values.defer = { telemetry: telemetry.value };
    inEffect.push({ ...telemetry.inEffect, value: `telemetry ${telemetry.value}` });
  }
  const metered = chosen<boolean | 'auto'>('metered', own.metered, told.metered, ownMeteredHolds(own.metered, told.metered));
  if (metered !== undefined) {
    values.metered = metered.value;
    inEffect.push(metered.inEffect);
  }
  return { values, inEffect };
}
