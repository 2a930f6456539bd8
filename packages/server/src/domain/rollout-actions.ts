import { AppError, type Rollout, type RolloutDevice, type RolloutStatus } from '@selvedge/contract';
import { isFinished } from './rollout-plan.ts';
import { hasTrial } from './rollout-policy.ts';
import { newWaves } from './rollout-waves.ts';

export type RolloutAction = 'pause' | 'resume' | 'promote' | 'abort' | 'retry';

/**
 * What somebody wants of a rollout.
 *
 * @param options.keep - with `abort`: devices that have the new version keep it.
 * @throws AppError CONFLICT (user) when the rollout is not in a phase for it.
 */
export function actOnRollout(rollout: Rollout, action: RolloutAction, nowIso: string, options: { keep: boolean }): RolloutStatus {
  switch (action) {
    case 'pause':
      return pause(rollout);
    case 'resume':
      return resume(rollout);
    case 'promote':
      return promote(rollout, nowIso);
    case 'abort':
      return abort(rollout, nowIso, options.keep);
    case 'retry':
      return retry(rollout, nowIso);
  }
}

function refusal({ metadata, status }: Rollout, action: RolloutAction, when: string): AppError {
  return new AppError('CONFLICT', {
    message: `Rollout "${metadata.name}" is ${status.phase}; ${action} is for one that ${when}.`,
    hint: `"selvedge rollout show ${metadata.name}" tells how it stands.`,
  });
}

function pause(rollout: Rollout): RolloutStatus {
  const { status } = rollout;
  if (status.phase === 'paused') return status;
  if (status.phase !== 'running' && status.phase !== 'waiting') throw refusal(rollout, 'pause', 'is under way');
  return { ...status, phase: 'paused', message: 'Paused: no further device is let go.' };
}

/** A wave that had failed is taken as it is. */
function resume(rollout: Rollout): RolloutStatus {
  const { status } = rollout;
  if (status.phase === 'running') return status;
  if (status.phase !== 'paused') throw refusal(rollout, 'resume', 'is paused');
  const waves = status.waves.map((wave) =>
    wave.state === 'failed' ? { ...wave, state: 'running' as const, finishedAt: null, accepted: true } : wave,
  );
  // one that waited for its promotion when it was paused waits for it again
  const passed = waves[status.wave]?.state === 'passed' && rollout.spec.policy.manual === true;
  return { ...status, phase: passed ? 'waiting' : 'running', waves, message: '' };
}

function promote(rollout: Rollout, nowIso: string): RolloutStatus {
  const { status } = rollout;
  const wave = status.waves[status.wave];
  const soaks = status.phase === 'running' && wave?.state === 'soaking';
  if (status.phase !== 'waiting' && !soaks) throw refusal(rollout, 'promote', 'waits for it, or whose wave soaks');
  const waves = status.waves.map((one) => (one.index === status.wave ? { ...one, state: 'passed' as const, finishedAt: nowIso } : one));
  return { ...status, phase: 'running', waves, wave: status.wave + 1, message: '' };
}

function abort(rollout: Rollout, nowIso: string, keep: boolean): RolloutStatus {
  const { status } = rollout;
  if (status.phase === 'aborted' || (status.phase === 'reverting' && status.ending === 'aborted')) return status;
  if (isFinished(status)) throw refusal(rollout, 'abort', 'is under way');
  if (!keep) return { ...status, phase: 'reverting', ending: 'aborted', message: 'Aborted: devices go back to what they had.' };
  return { ...status, phase: 'aborted', finishedAt: nowIso, message: 'Aborted: devices keep what they have.' };
}

/** Devices that have passed stay as they are; the others begin anew, in the waves that they had. */
function retry(rollout: Rollout, nowIso: string): RolloutStatus {
  const { status, spec } = rollout;
  const again = status.devices.filter(({ state }) => state !== 'passed');
  const isOver = status.phase === 'failed' || status.phase === 'aborted' || status.phase === 'paused' || status.phase === 'succeeded';
  if (!isOver || (again.length === 0 && status.phase !== 'aborted'))
    throw refusal(rollout, 'retry', 'has ended, or is paused, with devices that did not pass');
  const devices = status.devices.map((device) => (device.state === 'passed' ? device : anew(device)));
  const { ending, ...rest } = status;
  return {
    ...rest,
    phase: 'running',
    attempt: status.attempt + 1,
    wave: 0,
    waves: newWaves(status.waves.map((wave) => wave.devices)),
    devices,
    message: hasTrial(spec.policy) ? '' : `Tried again after it was ${ending ?? status.phase}.`,
    startedAt: nowIso,
    finishedAt: null,
  };
}

function anew(device: RolloutDevice): RolloutDevice {
  const { lost: _lost, ...rest } = device;
  return { ...rest, state: 'waiting', releasedAt: null, finishedAt: null, checks: [], arms: [], message: '', revertedInMs: null };
}
