import { AT_LEAST_GATES, type RolloutDevice, type TrialCheck, type TrialGates } from '@selvedge/contract';

/**
 * How a gate is looked at over a wave. `total`: all devices together, against the bar times their number. `pooled`: weighted by how
 * many requests or samples each device has seen. `median`: of the devices, so that one odd device does not decide for a wave.
 * `highest`: of the devices, because heat does not average out.
 */
type Aggregate = 'total' | 'pooled' | 'median' | 'highest';
const AGGREGATES: Readonly<Record<keyof TrialGates, Aggregate>> = {
  crashes: 'total',
  errorRate: 'pooled',
  p95Ms: 'median',
  p95Ratio: 'median',
  rssMiB: 'median',
  rssGrowthMiB: 'median',
  temperatureC: 'highest',
  confidencePsi: 'median',
  agreement: 'pooled',
  goldenAccuracy: 'pooled',
  goldenAccuracyDrop: 'pooled',
};

/** The gates over all devices of a wave that have measured them, in the order in which they were first seen. */
export function waveChecks(devices: readonly RolloutDevice[]): TrialCheck[] {
  const byGate = new Map<string, TrialCheck[]>();
  for (const { checks } of devices) for (const check of checks) byGate.set(check.gate, [...(byGate.get(check.gate) ?? []), check]);
  return [...byGate].map(([gate, checks]) => together(gate, checks));
}

function isGate(gate: string): gate is keyof TrialGates {
  return Object.hasOwn(AGGREGATES, gate);
}

function together(gate: string, checks: readonly TrialCheck[]): TrialCheck {
  const aggregate = isGate(gate) ? AGGREGATES[gate] : 'median';
  const measured = checks.flatMap((check) => (check.value === null ? [] : [{ ...check, value: check.value }]));
  const bar = (checks[0]?.bar ?? 0) * (aggregate === 'total' ? Math.max(measured.length, 1) : 1);
  const samples = checks.reduce((sum, check) => sum + check.samples, 0);
  const value = aggregated(aggregate, measured);
  const baselines = checks.flatMap(({ baseline }) => (baseline === null ? [] : [baseline]));
  const passed = value === null ? null : AT_LEAST_GATES.has(gate) ? value >= bar : value <= bar;
  return { gate, value, baseline: median(baselines), bar, passed, samples };
}

function aggregated(aggregate: Aggregate, checks: readonly { value: number; samples: number }[]): number | null {
  const values = checks.map(({ value }) => value);
  if (values.length === 0) return null;
  switch (aggregate) {
    case 'total':
      return values.reduce((sum, value) => sum + value, 0);
    case 'highest':
      return values.reduce((highest, value) => Math.max(highest, value), Number.NEGATIVE_INFINITY);
    case 'median':
      return median(values);
    case 'pooled': {
      const weight = checks.reduce((sum, { samples }) => sum + samples, 0);
      if (weight === 0) return median(values);
      return checks.reduce((sum, { value, samples }) => sum + value * samples, 0) / weight;
    }
  }
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
