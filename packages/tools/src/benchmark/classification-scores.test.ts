import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { percentile, scoreConfusion } from './classification-scores.ts';

describe('scoreConfusion', () => {
  it('gives the values of a worked example', () => {
    // 10 of class a: 8 right, 2 taken for b; 5 of class b: 4 right, 1 taken for a; c never occurs.
    const scores = scoreConfusion(
      [
        [8, 2, 0],
        [1, 4, 0],
        [0, 0, 0],
      ],
      ['a', 'b', 'c'],
    );
    expect(scores.metrics.accuracy).toBeCloseTo(12 / 15);
    expect(scores.perClass[0]).toMatchObject({ label: 'a', support: 10, precision: 8 / 9, recall: 0.8 });
    expect(scores.perClass[1]?.precision).toBeCloseTo(4 / 6);
    expect(scores.metrics.recall).toBeCloseTo(0.8);
    expect(scores.metrics.f1).toBeCloseTo((16 / 19 + 8 / 11) / 2);
    expect(scores.perClass[2]).toEqual({ label: 'c', precision: 0, recall: 0, f1: 0, support: 0 });
  });

  it('stays within 0..1 and knows a perfect result', () => {
    const matrix = fc.array(fc.array(fc.nat(9), { minLength: 3, maxLength: 3 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(matrix, (confusion) => {
        for (const value of Object.values(scoreConfusion(confusion, ['a', 'b', 'c']).metrics)) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
      }),
    );
    expect(
      scoreConfusion(
        [
          [3, 0],
          [0, 2],
        ],
        ['a', 'b'],
      ).metrics,
    ).toEqual({ accuracy: 1, f1: 1, precision: 1, recall: 1 });
  });
});

describe('percentile', () => {
  it('takes the nearest rank', () => {
    expect(percentile([5, 1, 4, 2, 3], 0.5)).toBe(3);
    expect(percentile([1, 2, 3, 4], 0.95)).toBe(4);
    expect(percentile([], 0.5)).toBe(0);
  });
});
