import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  expireInstances,
  INSTANCE_QUIET_MS,
  type InstanceHistory,
  instanceConnected,
  instanceSeen,
  NO_INSTANCES,
} from './device-conflict.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
const connect = (history: InstanceHistory, instanceId: string, seconds: number) =>
  instanceConnected(history, { instanceId, address: `10.0.0.1:${seconds}`, lastSeenAt: at(seconds) });
const replay = (ids: readonly string[]) => ids.reduce((history, id, index) => connect(history, id, index), NO_INSTANCES);

describe('the conflict rule', () => {
  it('sees a restarted agent as no conflict', () => {
    expect(replay(['a', 'a', 'b', 'b', 'c']).conflictSince).toBeNull();
  });

  it('names both agents when the older comes back after the newer', () => {
    const history = replay(['a', 'b', 'a']);
    expect(history.conflictSince).toBe(at(2));
    expect(history.instances).toEqual([
      { instanceId: 'a', address: '10.0.0.1:2', lastSeenAt: at(2) },
      { instanceId: 'b', address: '10.0.0.1:1', lastSeenAt: at(1) },
    ]);
  });

  it('keeps the time of the first proof', () => {
    expect(replay(['a', 'b', 'a', 'b', 'a']).conflictSince).toBe(at(2));
  });

  it('ends once only one was seen for ten minutes', () => {
    const quietS = INSTANCE_QUIET_MS / 1000;
    const history = instanceSeen(replay(['a', 'b', 'a']), 'a', at(quietS));
    expect(expireInstances(history, at(quietS)).conflictSince).toBe(at(2));
    const later = expireInstances(history, at(quietS + 2));
    expect(later).toEqual({ instances: [{ instanceId: 'a', address: '10.0.0.1:2', lastSeenAt: at(quietS) }], conflictSince: null });
  });

  it('is raised exactly when an id connects again after another that was first seen later', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e')), (ids) => {
        const firstSeen = (id: (typeof ids)[number]) => ids.indexOf(id);
        const expected = ids.some((id, index) => ids.slice(0, index).some((other) => firstSeen(other) > firstSeen(id)));
        expect(replay(ids).conflictSince !== null).toBe(expected);
      }),
    );
  });

  it('never holds more than a few instances and never invents one', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 })), (ids) => {
        const { instances } = replay(ids);
        expect(instances.length).toBeLessThanOrEqual(8);
        expect(new Set(instances.map((instance) => instance.instanceId)).size).toBe(instances.length);
        for (const instance of instances) expect(ids).toContain(instance.instanceId);
      }),
    );
  });
});
