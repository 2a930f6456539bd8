import { describe, expect, it } from 'vitest';
import { goldenTolerance } from './golden.ts';

describe('goldenTolerance', () => {
  it('is a share of the size of the output for fp32 and fp16', () => {
    expect(goldenTolerance('fp32', [-5, 0, 5], [-5, 0, 5])).toBeCloseTo(0.01);
    expect(goldenTolerance('fp16', [-5, 0, 5], [-5, 0, 5])).toBeCloseTo(0.2);
    expect(goldenTolerance('fp32', [0, 0], [0, 0])).toBeGreaterThan(0);
  });

  it('follows for int8 what quantisation costs, within bounds', () => {
    expect(goldenTolerance('int8', [0, 10], [0, 10])).toBeCloseTo(0.3); // at least 3 %
    expect(goldenTolerance('int8', [0, 10], [0, 9.6])).toBeCloseTo(0.8); // twice the distance
    expect(goldenTolerance('int8', [0, 10], [0, 2])).toBeCloseTo(1.5); // at most 15 %
  });
});
