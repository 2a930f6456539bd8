import type { DeviceCount, Rollout, RolloutPolicy, Trial } from '@selvedge/contract';

const DEFAULT_WAVES: DeviceCount[] = [1, '10%', '100%'];
const DEFAULT_TRIAL = { durationS: 60, minRequests: 0 };
const DEFAULT_SHARE = 0.1;
const DEFAULT_DEVICE_TIMEOUT_S = 3600;

/** The policy with its defaults filled in. An InferenceModel without one reaches all devices at once, and none of them tries the version. */
export function settlePolicy(policy: RolloutPolicy | undefined): RolloutPolicy {
  if (policy === undefined) return { strategy: 'all-at-once' };
  const strategy = policy.strategy ?? (policy.waves === undefined ? 'all-at-once' : 'waves');
  return {
    ...policy,
    strategy,
    waves: strategy === 'all-at-once' ? ['100%'] : (policy.waves ?? DEFAULT_WAVES),
    trial: { ...DEFAULT_TRIAL, ...policy.trial },
    gates: policy.gates ?? {},
    ...(strategy === 'split' ? { share: policy.share ?? DEFAULT_SHARE } : {}),
  };
}

/** Whether devices try the version before they keep it; otherwise a rollout only records how it gets on. */
export function hasTrial(policy: RolloutPolicy): boolean {
  return policy.trial !== undefined;
}

export function deviceTimeoutMs(policy: RolloutPolicy): number {
  return (policy.deviceTimeoutS ?? DEFAULT_DEVICE_TIMEOUT_S) * 1000;
}

export function trialDurationMs(policy: RolloutPolicy): number {
  return (policy.trial?.durationS ?? 0) * 1000;
}

/** So many devices of this many: shares are rounded up, and at least one. */
export function countOf(wanted: DeviceCount, total: number): number {
  if (typeof wanted === 'number') return Math.min(wanted, total);
  // multiplied first, so that 10% of 30 is 3 and not 3.0000000000000004, which would round up to 4
  const exact = (Number.parseFloat(wanted) * total) / 100;
  return Math.min(total, Math.max(total === 0 ? 0 : 1, Math.ceil(Number(exact.toFixed(6)))));
}

/** Identifies one attempt of a rollout on devices, which do not try the same one again. */
export function trialIdOf({ metadata, status }: Pick<Rollout, 'metadata' | 'status'>): string {
  return `${metadata.uid}.${status.attempt}`;
}

/** What a device is told about the trial. Where nothing was served before, there is nothing to shadow or to split with. */
export function trialOf(rollout: Rollout, fromVersion: string | null): Trial | undefined {
  const { policy } = rollout.spec;
  if (policy.trial === undefined || fromVersion === rollout.spec.toVersion) return undefined;
  const compares = fromVersion !== null && (policy.strategy === 'shadow' || policy.strategy === 'split');
  const mode =
    compares && policy.strategy !== undefined && policy.strategy !== 'all-at-once' && policy.strategy !== 'waves'
      ? policy.strategy
      : 'serve';
  const { golden } = rollout.status;
  return {
    id: trialIdOf(rollout),
    mode,
    ...(mode === 'split' ? { share: policy.share ?? DEFAULT_SHARE } : {}),
    durationS: policy.trial.durationS ?? DEFAULT_TRIAL.durationS,
    minRequests: policy.trial.minRequests ?? DEFAULT_TRIAL.minRequests,
    gates: policy.gates ?? {},
    ...(golden === null ? {} : { golden: { sha256: golden.sha256, sizeBytes: golden.sizeBytes } }),
  };
}
