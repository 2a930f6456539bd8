import { describe, expect, it } from 'vitest';
import { RolloutWorld } from '../testing/rollout-world.ts';
import { observeDevice } from './rollout-device.ts';
import { trialIdOf } from './rollout-policy.ts';

describe('what a device says that a version cost', () => {
  const transfer = { wholeBytes: 1000, fetchedBytes: 40, sharedBytes: 500, patchedBytes: 500 };
  const world = new RolloutWorld(1, { waves: ['100%'] });
  world.look();
  world.settle(1);
  const [facts] = world.facts();
  const [device] = world.rollout.status.devices;
  if (device === undefined || facts?.report === undefined) throw new Error('the world has a device that reports');
  const context = { rollout: world.rollout, trialId: trialIdOf(world.rollout), nowIso: device.releasedAt ?? '' };
  const look = (change: object, of = device) =>
    observeDevice(of, { ...facts, report: { ...facts.report, transfer, ...change } as never }, context);

  it('is kept for the version of the rollout, also once that serves', () => {
    expect(look({ desiredVersion: '2' }).transfer).toEqual(transfer);
    expect(look({ desiredVersion: '2' }, { ...device, state: 'passed' }).transfer).toEqual(transfer);
  });

  it('is not taken for another version, or before the device was let go', () => {
    expect(look({ desiredVersion: '1' }).transfer).toBeNull();
    expect(look({ desiredVersion: '2', model: 'another' }).transfer).toBeNull();
    expect(look({ desiredVersion: '2' }, { ...device, releasedAt: null }).transfer).toBeNull();
    expect(look({ desiredVersion: '2' }, { ...device, fromVersion: '2' }).transfer).toBeNull();
  });
});
