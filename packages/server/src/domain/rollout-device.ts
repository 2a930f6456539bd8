import type { Rollout, RolloutDevice, RolloutPolicy, TrialReport, WorkloadReport } from '@selvedge/contract';
import { deviceTimeoutMs, hasTrial, trialDurationMs } from './rollout-policy.ts';
import { fromSide, isOn, type Side, toSide } from './rollout-release.ts';

/** What is known of a device now. */
export interface DeviceFacts {
  name: string;
  /** `unsure`: it has not been gone for long, or the server has not been there for long. */
  presence: 'online' | 'unsure' | 'away';
  /** What it says about the workload of the InferenceModel. */
  report: WorkloadReport | undefined;
}

export interface DeviceContext {
  rollout: Pick<Rollout, 'spec'>;
  trialId: string;
  nowIso: string;
}

/** How a device stands after this look at it; the very same object when nothing changed. */
export function observeDevice(device: RolloutDevice, facts: DeviceFacts, context: DeviceContext): RolloutDevice {
  const seen = withTransfer(look(device, facts, context), facts, context);
  return seen === device || isSame(seen, device) ? device : seen;
}

/** A device that had the version before says nothing of what it cost, nor does one that has had it on its disk. */
function withTransfer(device: RolloutDevice, { report }: DeviceFacts, { rollout }: DeviceContext): RolloutDevice {
  const { model, toVersion } = rollout.spec;
  if (device.releasedAt === null || device.fromVersion === toVersion || report?.transfer === undefined) return device;
  return report.model === model && report.desiredVersion === toVersion ? { ...device, transfer: report.transfer } : device;
}

/** Field by field, because a large fleet is looked at several times a second. */
function isSame(a: RolloutDevice, b: RolloutDevice): boolean {
  const sameNumbers = a.checks === b.checks && a.arms === b.arms;
  return (
    a.state === b.state &&
    a.message === b.message &&
    a.releasedAt === b.releasedAt &&
    a.finishedAt === b.finishedAt &&
    a.lost === b.lost &&
    a.revertedInMs === b.revertedInMs &&
    a.transfer?.fetchedBytes === b.transfer?.fetchedBytes &&
    (sameNumbers || JSON.stringify([a.checks, a.arms]) === JSON.stringify([b.checks, b.arms]))
  );
}

function look(device: RolloutDevice, facts: DeviceFacts, context: DeviceContext): RolloutDevice {
  switch (device.state) {
    case 'updating':
    case 'on-trial':
    case 'catching-up':
      return device.releasedAt === null ? device : lookAtReleased(device, facts, context);
    case 'failed':
      return hasTrial(context.rollout.spec.policy) ? lookForReturn(device, facts, context) : lookForRecovery(device, facts, context);
    case 'reverting':
      return lookForReturn(device, facts, context);
    case 'waiting':
    case 'passed':
    case 'reverted':
      return device;
  }
}

function lookForReturn(device: RolloutDevice, { presence, report }: DeviceFacts, { rollout, nowIso }: DeviceContext): RolloutDevice {
  if (presence !== 'online' || !hasReturned(report, fromSide(rollout, device.fromVersion))) return device;
  return { ...device, state: 'reverted', finishedAt: device.finishedAt ?? nowIso, message: returnText(device) };
}

function returnText({ fromVersion, message }: RolloutDevice): string {
  const back = fromVersion === null ? 'Serves nothing, as before.' : `Serves version ${fromVersion} again.`;
  return message === '' ? back : `${message} ${back}`;
}

/** One that reverted by itself serves the version of before although it is still told the new one. */
function hasReturned(report: WorkloadReport | undefined, side: Side | null): boolean {
  if (side === null) return report === undefined || report.servingVersion === null;
  return report?.model === side.model && report.servingVersion === side.version;
}

function lookForRecovery(device: RolloutDevice, { report }: DeviceFacts, { rollout, nowIso }: DeviceContext): RolloutDevice {
  return isOn(report, toSide(rollout)) ? passed(device, nowIso, '') : device;
}

const passed = (device: RolloutDevice, nowIso: string, message: string): RolloutDevice => ({
  ...device,
  state: 'passed',
  finishedAt: nowIso,
  message,
});
const failed = (device: RolloutDevice, nowIso: string, message: string): RolloutDevice => ({
  ...device,
  state: 'failed',
  finishedAt: nowIso,
  message,
});

function lookAtReleased(device: RolloutDevice, facts: DeviceFacts, context: DeviceContext): RolloutDevice {
  const { rollout, nowIso } = context;
  const { policy, toVersion } = rollout.spec;
  const verdict = verdictOf(device, facts, context);
  if (verdict !== undefined) return verdict;
  if (facts.presence === 'unsure') return device;
  if (facts.presence === 'away') return lookAtOffline(device, context);
  const { report } = facts;
  const back: RolloutDevice = device.state === 'catching-up' ? { ...device, state: 'updating', releasedAt: nowIso, message: '' } : device;
  const trial = ownTrial(report, context);
  const held = report?.desiredVersion === toVersion ? report.held : undefined;
  const waitedMs = Date.parse(nowIso) - Date.parse(back.releasedAt ?? nowIso);
  const isLate = waitedMs > timeLimitMs(policy, trial);
  if (held != null) {
    // a window opens by itself; a lock may stay for ever, and then the rollout goes on without the device
    const isLeft = isLate && held.reason !== 'window';
    return { ...back, state: isLeft ? 'catching-up' : 'updating', message: `Held (${held.reason}): ${held.message}` };
  }
  if (isLate) return failed(back, nowIso, `No verdict after ${Math.round(waitedMs / 1000)} s. ${errorText(report)}`.trim());
  if (trial === undefined)
    return { ...back, state: isTryingWithoutWord(device, report, rollout) ? 'on-trial' : 'updating', message: errorText(report) };
  return {
    ...back,
    state: trial.state === 'running' ? 'on-trial' : 'updating',
    checks: trial.checks,
    arms: trial.arms,
    message: errorText(report),
  };
}

/** With a bound on how many change at one time, an absent one may not take a place for ever: then it is told again when it is back. */
function lookAtOffline(device: RolloutDevice, { rollout, nowIso }: DeviceContext): RolloutDevice {
  const { policy } = rollout.spec;
  const wasChanging = device.state !== 'catching-up';
  const away: RolloutDevice = wasChanging
    ? { ...device, state: 'catching-up', message: 'Lost while it took the version up.', lost: true }
    : device;
  const isLost = Date.parse(nowIso) - Date.parse(device.releasedAt ?? nowIso) > deviceTimeoutMs(policy) + trialDurationMs(policy);
  return policy.maxUnavailable !== undefined && isLost ? { ...away, releasedAt: null } : away;
}

function timeLimitMs(policy: RolloutPolicy, trial: TrialReport | undefined): number {
  return deviceTimeoutMs(policy) + (trial?.state === 'running' || trial === undefined ? trialDurationMs(policy) : 0);
}

function verdictOf(device: RolloutDevice, { report }: DeviceFacts, context: DeviceContext): RolloutDevice | undefined {
  const { rollout, nowIso } = context;
  const { policy, toVersion } = rollout.spec;
  const expectsTrial = hasTrial(policy) && device.fromVersion !== toVersion;
  if (!expectsTrial) {
    if (isOn(report, toSide(rollout))) return passed(device, nowIso, '');
    return hasGivenUp(report, toVersion) ? failed(device, nowIso, errorText(report)) : undefined;
  }
  const trial = ownTrial(report, context);
  if (trial !== undefined) return verdictOfTrial(device, trial, nowIso);
  if (report === undefined || report.trial !== undefined) return undefined;
  return verdictWithoutWord(device, report, context);
}

function ownTrial(report: WorkloadReport | undefined, { rollout, trialId }: DeviceContext): TrialReport | undefined {
  const trial = report?.trial;
  return trial?.id === trialId && trial.version === rollout.spec.toVersion ? trial : undefined;
}

function verdictOfTrial(device: RolloutDevice, trial: TrialReport, nowIso: string): RolloutDevice | undefined {
  const { checks, arms, revertedInMs } = trial;
  const base = { ...device, checks, arms, revertedInMs };
  const atIso = trial.finishedAt ?? nowIso;
  if (trial.state === 'passed') return passed(base, atIso, '');
  if (trial.state !== 'failed') return undefined;
  const { failure } = trial;
  return failed(base, atIso, failure === null ? 'The trial failed.' : `${failure.code}: ${failure.message}`);
}

/** An agent from before trials says nothing about them: then the server watches that it goes on serving without restarts. */
function verdictWithoutWord(device: RolloutDevice, report: WorkloadReport, { rollout, nowIso }: DeviceContext): RolloutDevice | undefined {
  const { policy, toVersion } = rollout.spec;
  if (hasGivenUp(report, toVersion)) return failed(device, nowIso, errorText(report));
  if (!isOn(report, toSide(rollout))) return undefined;
  const servesMs = Date.parse(nowIso) - Math.max(Date.parse(report.servingSince ?? nowIso), Date.parse(device.releasedAt ?? nowIso));
  if (servesMs < trialDurationMs(policy)) return undefined;
  return passed(device, nowIso, 'Its agent knows no trials: it serves the version, and nothing was measured.');
}

function isTryingWithoutWord(device: RolloutDevice, report: WorkloadReport | undefined, rollout: Pick<Rollout, 'spec'>): boolean {
  return (
    device.fromVersion !== rollout.spec.toVersion && report !== undefined && report.trial === undefined && isOn(report, toSide(rollout))
  );
}

function hasGivenUp(report: WorkloadReport | undefined, toVersion: string): boolean {
  return report?.desiredVersion === toVersion && report.state === 'failed' && report.error !== null;
}

function errorText(report: WorkloadReport | undefined): string {
  return report?.error == null ? '' : `${report.error.code}: ${report.error.message}`;
}
