import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { downsample } from './downsample.ts';

const curve = (values: readonly number[]) => values.map((value, step) => ({ metric: 'm', step, value, at: '2026-01-01T00:00:00.000Z' }));

it('keeps as many points as asked for, real ones, in order, the first and the last among them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 3, max: 50 }),
      (values, max) => {
        const points = curve(values);
        const shown = downsample(points, max);
        expect(shown).toHaveLength(Math.min(max, points.length));
        expect(shown.every((point) => points[point.step] === point)).toBe(true);
        expect(shown.map(({ step }) => step)).toEqual([...new Set(shown.map(({ step }) => step))].sort((a, b) => a - b));
        expect([shown[0], shown.at(-1)]).toEqual([points[0], points.at(-1)]);
      },
    ),
  );
});

it('keeps a single peak among a thousand points', () => {
  const points = curve(Array.from({ length: 1000 }, (_, step) => (step === 617 ? 50 : 0)));
  expect(downsample(points, 10).some(({ value }) => value === 50)).toBe(true);
});
