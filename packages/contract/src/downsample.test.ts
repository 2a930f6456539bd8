import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { downsample } from './downsample.ts';

const curve = (values: readonly number[]) => ({ steps: values.map((_, step) => step * 2), values });

it('keeps as many points as asked for, in order, the first and the last among them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 3, max: 50 }),
      (values, max) => {
        const shown = downsample(curve(values), max);
        expect(shown).toHaveLength(Math.min(max, values.length));
        expect(shown).toEqual([...new Set(shown)].sort((a, b) => a - b));
        expect([shown[0], shown.at(-1)]).toEqual([0, values.length - 1]);
      },
    ),
  );
});

it('keeps a single peak among a thousand points', () => {
  const values = Array.from({ length: 1000 }, (_, step) => (step === 617 ? 50 : 0));
  expect(downsample(curve(values), 10)).toContain(617);
});

it('keeps a curve that has no more points than asked for', () => {
  expect(downsample(curve([5, 7, 9]), 3)).toEqual([0, 1, 2]);
  expect(downsample(curve([]), 3)).toEqual([]);
});
