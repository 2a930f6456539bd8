import type { RolloutPolicy } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RolloutWorld as World } from '../testing/rollout-world.ts';
import { trialIdOf } from './rollout-policy.ts';

const waves: RolloutPolicy = { waves: [1, '50%', '100%'] };

describe('planRollout', () => {
  it('goes wave by wave, and no further than the wave under way', () => {
    const world = new World(4, waves);
    expect(world.look()).toEqual(['d000']);
    expect(world.look()).toEqual([]);
    world.settle(3);
    expect(world.rollout.status).toMatchObject({ phase: 'running', wave: 1 });
    world.settle();
    expect(world.rollout.status.phase).toBe('succeeded');
    expect(world.rollout.status.waves.map(({ devices, state }) => [devices, state])).toEqual([
      [1, 'passed'],
      [1, 'passed'],
      [2, 'passed'],
    ]);
    expect(world.rollout.status.waves[2]?.checks).toEqual([
      { gate: 'crashes', value: 0, baseline: null, bar: 0, passed: true, samples: 2 },
    ]);
  });

  it('reverts every device when a wave fails, with the numbers', () => {
    const world = new World(4, waves, ['d001']);
    world.settle();
    expect(world.rollout.status).toMatchObject({ phase: 'failed', wave: 1 });
    expect(world.rollout.status.message).toBe('Wave 2 failed: 1 of 1 devices failed, 0 may. d001: TRIAL_FAILED: crashes 3 > 0');
    expect(world.states()).toEqual({ d000: 'reverted', d001: 'reverted', d002: 'waiting', d003: 'waiting' });
    expect([...world.fleet.values()].map(({ serving }) => serving)).toEqual(['1', '1', '1', '1']);
    expect(world.rollout.status.devices[1]).toMatchObject({
      revertedInMs: 120,
      checks: [{ gate: 'crashes', value: 3, bar: 0, passed: false }],
    });
  });

  it('stands still at a failed wave where the policy says so, and goes on when it is resumed', () => {
    const world = new World(4, { ...waves, onFailure: 'pause' }, ['d001']);
    world.settle();
    expect(world.rollout.status.phase).toBe('paused');
    expect(world.states()).toMatchObject({ d000: 'passed', d001: 'reverted', d002: 'waiting' });
    world.act('resume');
    world.settle();
    expect(world.rollout.status.phase).toBe('succeeded');
    expect(world.states()).toMatchObject({ d001: 'reverted', d003: 'passed' });
    expect(world.release('d001')?.version).toBe('1');
  });

  it('lets so many devices of a wave fail as the policy allows, when the gates over the wave hold', () => {
    const world = new World(10, { waves: ['100%'], maxFailed: 0.1, gates: { crashes: 1 } }, ['d003']);
    world.settle();
    expect(world.rollout.status.phase).toBe('failed'); // crashes 3 over ten devices with a bar of 0 each
    const other = new World(10, { waves: ['100%'], maxFailed: 0.05 }, ['d003']);
    other.settle();
    expect(other.rollout.status.message).toContain('1 of 10 devices failed, 0 may');
  });

  it('does not wait for a device that is offline, which gets the version when it is back', () => {
    const world = new World(3, waves);
    const away = world.fleet.get('d000');
    if (away !== undefined) away.online = false;
    world.settle();
    expect(world.rollout.status.phase).toBe('succeeded');
    expect(world.states()).toMatchObject({ d000: 'catching-up', d002: 'passed' });
    if (away !== undefined) away.online = true;
    world.settle(5);
    expect(world.states()).toMatchObject({ d000: 'passed' });
  });

  it('does not pass a wave whose devices were lost while they took the version up', () => {
    const world = new World(2, waves);
    world.look();
    const first = world.fleet.get('d000');
    if (first === undefined) return;
    first.presence = 'unsure';
    world.look();
    expect(world.states()).toEqual({ d000: 'updating', d001: 'waiting' });
    first.presence = 'away';
    first.online = false;
    world.settle(20);
    expect(world.rollout.status).toMatchObject({ phase: 'running', wave: 0 });
    expect(world.rollout.status.message).toContain('d000 was lost');
    first.presence = 'online';
    first.online = true;
    world.settle();
    expect(world.rollout.status.phase).toBe('succeeded');
  });

  it('soaks, waits for a promotion, and goes on after it', () => {
    const world = new World(2, { waves: [1], soakS: 60, manual: true });
    world.settle(30);
    expect(world.rollout.status.waves[0]?.state).toBe('soaking');
    world.settle(60);
    expect(world.rollout.status.phase).toBe('waiting');
    expect(world.states()).toMatchObject({ d001: 'waiting' });
    world.act('promote');
    world.settle(20);
    expect(world.rollout.status.phase).toBe('succeeded');
  });

  it('fails an online device that gives no verdict in time, and waits for one that a window holds', () => {
    const world = new World(1, { waves: ['100%'], deviceTimeoutS: 10, trial: { durationS: 5 } });
    world.look();
    world.nowMs += 14_000;
    world.look();
    expect(world.states()).toEqual({ d000: 'updating' });
    world.nowMs += 2_000;
    world.look();
    expect(world.rollout.status.devices[0]?.message).toContain('No verdict after 16 s');
    world.settle(3);
    expect(world.rollout.status.phase).toBe('failed');
  });

  it('serves nothing on devices of a first deployment before their wave, and takes it away when it fails', () => {
    const world = new World(2, waves, ['d000'], '');
    world.look();
    expect(world.release('d001')).toBeNull();
    world.settle();
    expect(world.rollout.status.phase).toBe('failed');
    expect([...world.fleet.values()].map(({ serving }) => serving)).toEqual([null, null]);
  });

  it('tries again as another attempt, with another trial', () => {
    const world = new World(2, waves, ['d000']);
    world.settle();
    expect(world.rollout.status.phase).toBe('failed');
    const first = trialIdOf(world.rollout);
    world.act('retry');
    expect(trialIdOf(world.rollout)).not.toBe(first);
    expect(world.look()).toEqual(['d000']);
    world.settle();
    expect(world.rollout.status).toMatchObject({ phase: 'failed', attempt: 2 });
  });

  it('without a policy lets all go at once, and keeps telling them the version whatever comes of it', () => {
    const world = new World(3, undefined);
    expect(world.look()).toHaveLength(3);
    expect(world.release('d000')).toEqual({ model: 'digits', version: '2', servingPort: 0, isNew: true });
    world.settle(3);
    expect(world.rollout.status.phase).toBe('succeeded');
  });

  it('takes a device that joins during a rollout in with the last wave, on the version of before until then', () => {
    const world = new World(4, waves);
    world.look();
    world.fleet.set('new', { online: true, serving: null, trial: null, tried: new Set() });
    expect(world.release('new')).toMatchObject({ version: '1', isNew: false });
    world.settle();
    expect(world.states()).toMatchObject({ new: 'passed' });
  });
});

describe('a rollout whatever happens', () => {
  const policies = fc.record(
    {
      waves: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }).map((sizes) => sizes.sort((a, b) => a - b)),
      maxUnavailable: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom('10%', '50%')),
      maxFailed: fc.constantFrom(0, 0.2, 0.5),
      soakS: fc.constantFrom(0, 3),
      strategy: fc.constantFrom('waves' as const, 'shadow' as const, 'all-at-once' as const),
      onFailure: fc.constantFrom('revert' as const, 'pause' as const),
    },
    { requiredKeys: [] },
  );
  const events = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant('step' as const), device: fc.nat(19) }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('toggle' as const), device: fc.nat(19) }) },
      { weight: 6, arbitrary: fc.record({ type: fc.constant('look' as const), device: fc.nat(0) }) },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constantFrom('pause' as const, 'resume' as const, 'abort' as const, 'retry' as const),
          device: fc.nat(0),
        }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('join' as const), device: fc.integer({ min: 100, max: 103 }) }) },
    ),
    { maxLength: 60 },
  );

  it('keeps to its waves and its bound, ends, and leaves every device that failed or was taken back on what it had', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), policies, fc.uniqueArray(fc.nat(19)), events, (size, policy, bad, happenings) => {
        const world = new World(size, policy, bad.map(nameOf));
        for (const { type, device } of happenings) {
          const one = world.fleet.get(nameOf(device));
          world.nowMs += 1000;
          if (type === 'step') world.step(nameOf(device));
          else if (type === 'toggle' && one !== undefined) one.online = !one.online;
          else if (type === 'look') world.look();
          else if (type === 'join') world.fleet.set(nameOf(device), { online: true, serving: null, trial: null, tried: new Set() });
          else if (type !== 'toggle') attempt(() => world.act(type));
        }
        for (const one of world.fleet.values()) one.online = true;
        world.settle(60, 6);
        if (world.rollout.status.phase === 'paused') world.act('resume');
        world.settle(120, 6);
        const { status } = world.rollout;
        expect(['succeeded', 'failed', 'aborted', 'paused']).toContain(status.phase);
        for (const [name, device] of world.fleet) expect(device.serving).toBe(world.release(name)?.version ?? null);
        if (status.phase === 'failed' || status.phase === 'aborted') for (const one of world.fleet.values()) expect(one.serving).toBe('1');
        if (status.phase === 'succeeded') for (const [name, one] of world.fleet) expect(one.serving).toBe(world.bad.has(name) ? '1' : '2');
      }),
      { numRuns: 60 },
    );
  });
});

function nameOf(index: number): string {
  return `d${String(index).padStart(3, '0')}`;
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // an action that the phase does not allow
  }
}
