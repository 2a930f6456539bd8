import type { Rollout, TrialArm } from '@selvedge/contract';

/** How one version did on the same traffic, over all devices that tried both. */
interface ArmFigures {
  /** More than one where devices came from different versions. */
  readonly versions: readonly string[];
  readonly requests: number;
  /** Pooled over requests; null without any. */
  readonly errorRate: number | null;
  /** Median over devices, as gates over a wave take it. */
  readonly p95Ms: number | null;
}

export interface ArmComparison {
  readonly devices: number;
  readonly before: ArmFigures;
  readonly after: ArmFigures;
  /** Median over devices of what the new version takes as a multiple of the one before on that device. */
  readonly p95Ratio: number | null;
}

/** Both arms of a split or shadow, over all devices; undefined until a device has reported both. */
export function compareArms({ spec, status }: Rollout): ArmComparison | undefined {
  const pairs = status.devices.flatMap(({ arms }) => {
    const after = arms.find(({ version }) => version === spec.toVersion);
    const before = arms.find(({ version }) => version !== spec.toVersion);
    return after === undefined || before === undefined ? [] : [{ before, after }];
  });
  if (pairs.length === 0) return undefined;
  const ratios = pairs.flatMap(({ before, after }) =>
    before.p95Ms === null || before.p95Ms === 0 || after.p95Ms === null ? [] : [after.p95Ms / before.p95Ms],
  );
  return {
    devices: pairs.length,
    before: figuresOf(pairs.map(({ before }) => before)),
    after: figuresOf(pairs.map(({ after }) => after)),
    p95Ratio: median(ratios),
  };
}

function figuresOf(arms: readonly TrialArm[]): ArmFigures {
  const requests = arms.reduce((sum, arm) => sum + arm.requests, 0);
  const errors = arms.reduce((sum, arm) => sum + arm.errors, 0);
  return {
    versions: [...new Set(arms.map(({ version }) => version))],
    requests,
    errorRate: requests === 0 ? null : errors / requests,
    p95Ms: median(arms.flatMap(({ p95Ms }) => p95Ms ?? [])),
  };
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)];
  const low = sorted[Math.ceil(middle) - 1];
  return high === undefined || low === undefined ? null : (low + high) / 2;
}

/** `× 1.08`; what a share of nothing would be in words. */
export function ratioText(before: number | null, after: number | null): string {
  if (before === null || after === null) return '–';
  if (before === 0) return after === 0 ? 'both none' : 'none before';
  return `× ${(after / before).toFixed(2)}`;
}
