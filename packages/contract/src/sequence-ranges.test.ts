import { describe, expect, it } from 'vitest';
import { addRange, gapsIn, hasNumber, type SequenceRange } from './sequence-ranges.ts';

/** Small numbers in an order that a seed makes. */
function numbers(seed: number, count: number, below: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state % below;
  });
}

describe('ranges of sequence numbers', () => {
  it('joins what touches', () => {
    let ranges: SequenceRange[] = [];
    for (const [first, last] of [
      [1, 5],
      [10, 12],
      [6, 6],
      [8, 9],
    ] as const)
      ranges = addRange(ranges, { first, last });
    expect(ranges).toEqual([
      { first: 1, last: 6 },
      { first: 8, last: 12 },
    ]);
    expect(gapsIn(ranges, { first: 0, last: 14 })).toEqual([
      { first: 0, last: 0 },
      { first: 7, last: 7 },
      { first: 13, last: 14 },
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is the set of all numbers that were added (seed %i)', (seed) => {
    let ranges: SequenceRange[] = [];
    const taken = new Set<number>();
    for (const first of numbers(seed, 30, 200)) {
      const last = first + (first % 7);
      for (let sequence = first; sequence <= last; sequence += 1) taken.add(sequence);
      ranges = addRange(ranges, { first, last });
    }
    const all = Array.from({ length: 220 }, (_, sequence) => sequence);
    expect(all.filter((sequence) => hasNumber(ranges, sequence))).toEqual(all.filter((sequence) => taken.has(sequence)));
    const free = gapsIn(ranges, { first: 0, last: 219 }).flatMap(({ first, last }) => all.slice(first, last + 1));
    expect(free).toEqual(all.filter((sequence) => !taken.has(sequence)));
  });
});
