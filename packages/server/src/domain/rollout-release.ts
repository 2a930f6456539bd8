import type { DesiredWorkload, Rollout, RolloutDevice, WorkloadReport } from '@selvedge/contract';
import { hasTrial, trialOf } from './rollout-policy.ts';

/** A version of a model on a port: what a device has before a rollout, or after it. */
export interface Side {
  model: string;
  version: string;
  servingPort: number;
}

/** What a rollout lets a device have. */
export interface Release extends Side, Pick<DesiredWorkload, 'trial' | 'windows' | 'deferOnMetered'> {
  /** It is the version that the rollout brings. */
  isNew: boolean;
}

export function toSide({ spec }: Pick<Rollout, 'spec'>): Side {
  return { model: spec.model, version: spec.toVersion, servingPort: spec.servingPort ?? 0 };
}

/** What a device goes back to; null: nothing. */
export function fromSide({ spec }: Pick<Rollout, 'spec'>, fromVersion: string | null): Side | null {
  if (fromVersion === null) return null;
  const { model, servingPort } = spec.from ?? { model: spec.model, servingPort: spec.servingPort ?? 0 };
  return { model, version: fromVersion, servingPort };
}

export function sameSide(a: Side | null, b: Side | null): boolean {
  if (a === null || b === null) return a === b;
  return a.model === b.model && a.version === b.version && a.servingPort === b.servingPort;
}

/** Whether the device has been let have the new version. */
export function isReleased(device: RolloutDevice): boolean {
  switch (device.state) {
    case 'updating':
    case 'on-trial':
    case 'passed':
      return true;
    case 'catching-up':
      return device.releasedAt !== null;
    case 'waiting':
    case 'failed':
    case 'reverting':
    case 'reverted':
      return false;
  }
}

/** What the device may have now; null: nothing. A device that the rollout does not know gets what holds for the whole. */
export function releaseOf(rollout: Rollout, device: RolloutDevice | undefined): Release | null {
  const { policy } = rollout.spec;
  if (mayHaveNew(rollout, device)) {
    const before = device === undefined ? null : device.fromVersion;
    const trial = trialOf(rollout, before);
    const { windows, deferOnMetered } = policy;
    return {
      ...toSide(rollout),
      isNew: true,
      ...(trial === undefined ? {} : { trial }),
      ...(windows === undefined ? {} : { windows }),
      ...(deferOnMetered === undefined ? {} : { deferOnMetered }),
    };
  }
  const { fromVersion } = rollout.spec;
  const before = device === undefined ? (fromVersion === '' ? null : fromVersion) : device.fromVersion;
  const side = fromSide(rollout, before);
  return side === null ? null : { ...side, isNew: false };
}

function mayHaveNew({ spec, status }: Rollout, device: RolloutDevice | undefined): boolean {
  const isTaken = !hasTrial(spec.policy) && status.phase !== 'reverting' && status.phase !== 'aborted';
  if (device === undefined) return isTaken || status.phase === 'succeeded';
  // without a trial a device that has trouble goes on trying, as it falls back by itself
  return isReleased(device) || (isTaken && device.state === 'failed');
}

/** Whether a device reports that it serves this, and wants nothing else. */
export function isOn(report: WorkloadReport | undefined, side: Side | null): boolean {
  if (side === null) return report === undefined || report.servingVersion === null;
  return (
    report !== undefined &&
    report.model === side.model &&
    report.servingVersion === side.version &&
    report.desiredVersion === side.version &&
    report.state === 'serving' &&
    (side.servingPort === 0 || report.port === side.servingPort)
  );
}
