import { describe, expect, it } from 'vitest';
import { divide } from './divide.ts';

describe('divide', () => {
  it('shares identities out as wholes where each is a group', () => {
    const samples = Array.from({ length: 100 }, (_, i) => ({ group: `person ${i % 20}`, labels: [i % 20] }));
    const splits = divide(samples, { train: 0.8, validation: 0.2 }, 3);
    const held = new Set(samples.flatMap(({ group }, i) => (splits[i] === 'validation' ? [group] : [])));
    expect(held.size).toBe(4);
    expect(splits.filter((split) => split === 'validation')).toHaveLength(20);
    expect(divide(samples, { train: 0.8, validation: 0.2 }, 4)).not.toEqual(splits);
  });

  it('still gives every split its share of a class that many groups have', () => {
    const samples = Array.from({ length: 120 }, (_, i) => ({ group: `scene ${i % 30}`, labels: [i % 2, 2 + (i % 30)] }));
    const splits = divide(samples, { test: 0.5, train: 0.5 }, 1);
    for (const label of [0, 1]) expect(splits.filter((split, i) => split === 'test' && i % 2 === label).length).toBeCloseTo(30, -1);
  });
});
