import { describe, expect, it } from 'vitest';
import { backoffDelayMs } from './backoff.ts';

/** As of an agent that reconnects. */
const RECONNECT = { baseMs: 500, maxMs: 30_000 };

describe('backoffDelayMs', () => {
  it('grows to its most, and is never less than half', () => {
    expect([1, 2, 3, 7, 30, 1000].map((attempt) => backoffDelayMs(attempt, RECONNECT, () => 1))).toEqual([
      500, 1000, 2000, 30_000, 30_000, 30_000,
    ]);
    expect([1, 7].map((attempt) => backoffDelayMs(attempt, RECONNECT, () => 0))).toEqual([250, 15_000]);
  });

  it('spreads a fleet that lost its server at the same moment: no second gets much more than its share', () => {
    const devices = 10_000;
    const perSecond = new Map<number, number>();
    let state = 42;
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
    for (let device = 0; device < devices; device += 1) {
      let atMs = 0;
      for (let attempt = 1; attempt <= 8; attempt += 1) atMs += backoffDelayMs(attempt, RECONNECT, random);
      const second = Math.floor(atMs / 1000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).toBeLessThan(devices * 0.08);
    expect(perSecond.size).toBeGreaterThan(20);
  });
});
