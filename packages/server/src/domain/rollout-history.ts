import type { Rollout, RolloutDevice, RolloutStatus } from '@selvedge/contract';
import { isFinished } from './rollout-plan.ts';

/** Rollouts that are kept of each InferenceModel. */
export const KEPT_ROLLOUTS = 20;
/** Devices that the record of an overtaken rollout goes on naming; its waves keep the numbers of all. */
const KEPT_DEVICES = 200;
const MAX_NAME = 253;

/** `reader-3`: the third rollout of InferenceModel "reader". */
export function rolloutName(inferenceModel: string, number: number): string {
  const ending = `-${number}`;
  return `${inferenceModel.slice(0, MAX_NAME - ending.length).replace(/[-.]+$/, '')}${ending}`;
}

export function rolloutNumber({ metadata }: Pick<Rollout, 'metadata'>): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1));
}

/** How the record of an overtaken rollout stays: ended, and no larger than it need be. The very same object when it is so already. */
export function asHistory(status: RolloutStatus, nowIso: string): RolloutStatus {
  const devices = status.devices.length > KEPT_DEVICES ? worstFirst(status.devices).slice(0, KEPT_DEVICES) : status.devices;
  if (isFinished(status) && devices === status.devices) return status;
  const ended = isFinished(status)
    ? status
    : { ...status, phase: 'superseded' as const, finishedAt: nowIso, message: 'A newer edit took its place.' };
  return { ...ended, devices };
}

function worstFirst(devices: readonly RolloutDevice[]): RolloutDevice[] {
  return [...devices].sort((a, b) => Number(a.state === 'passed') - Number(b.state === 'passed'));
}
