import { MAX_GOLDEN_SET_BYTES } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GoldenChoice } from './golden-choice.ts';

const file = (index: number, label: number, sizeBytes = 100, split = 'test') => ({
  path: `${split}/${label}/${index}.png`,
  sha256: index.toString(16).padStart(64, '0'),
  sizeBytes,
  split,
  label,
});
const choose = (samples: number, files: ReturnType<typeof file>[], seed = 0) => {
  const choice = new GoldenChoice({ split: 'test', samples, seed });
  for (const one of files) choice.offer(one);
  return choice.chosen();
};

describe('GoldenChoice', () => {
  it('takes as many of each class, of the split alone', () => {
    const files = [...Array(60).keys()].map((index) => file(index, index < 50 ? 0 : 1));
    const chosen = choose(20, [...files, file(99, 1, 100, 'train')]);
    expect(chosen.filter(({ label }) => label === 0)).toHaveLength(10);
    expect(chosen.filter(({ label }) => label === 1)).toHaveLength(10);
    expect(chosen.every(({ path }) => path.startsWith('test/'))).toBe(true);
  });

  it('chooses the same whatever the order, others with another seed, and stays within the bound of a golden set', () => {
    const sizes = fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 3_000_000 })), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 40 }), (list, samples) => {
        const files = list.map(([label, size], index) => file(index, label, size));
        const chosen = choose(samples, files);
        expect(choose(samples, [...files].reverse())).toEqual(chosen);
        expect(chosen.length).toBeLessThanOrEqual(samples);
        const payload = chosen.reduce((sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / 3) * 4 + 400, 0);
        expect(Math.ceil(payload / 3) * 4).toBeLessThan(MAX_GOLDEN_SET_BYTES);
      }),
    );
    const many = [...Array(100).keys()].map((index) => file(index, 0));
    expect(choose(10, many, 1)).not.toEqual(choose(10, many, 2));
  });
});
