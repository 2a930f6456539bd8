import { describe, expect, it } from 'vitest';
import { seededRandom } from './random.ts';
import { Arrivals, Sample } from './statistics.ts';

describe('statistics', () => {
  it('count everything and take quantiles of the last values', () => {
    const sample = new Sample(100);
    for (let value = 1; value <= 200; value += 1) sample.add(value);
    expect(sample.quantiles()).toEqual({ count: 200, p50: 150, p99: 199, max: 200 });
    expect(new Sample().quantiles()).toBeNull();
  });

  it('take the first arrival of an order at each device', () => {
    const arrivals = new Arrivals();
    for (const [device, atMs] of [
      ['a', 10],
      ['b', 30],
      ['a', 99],
      ['c', 20],
    ] as const)
      arrivals.add(device, atMs);
    expect(arrivals.summary()).toEqual({ devices: 3, firstAtMs: 10, p50AtMs: 20, p99AtMs: 30, lastAtMs: 30 });
  });

  it('are the same for the same seed', () => {
    const [a, b, c] = [seededRandom(7), seededRandom(7), seededRandom(8)];
    const first = Array.from({ length: 5 }, a);
    expect(Array.from({ length: 5 }, b)).toEqual(first);
    expect(Array.from({ length: 5 }, c)).not.toEqual(first);
    expect(first.every((value) => value >= 0 && value < 1)).toBe(true);
  });
});
