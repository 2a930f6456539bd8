import type { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { choosePrecision, type PrecisionCandidate } from './index.ts';

const fp32 = { precision: 'fp32', score: 0.97, speed: 100 };
const int8 = { precision: 'int8', score: 0.965, speed: 240 };
const fp16 = { precision: 'fp16', score: 0.97, speed: 130 };
const choose = (candidates: readonly PrecisionCandidate[], tolerance: number, higherIsBetter = true) =>
  choosePrecision({ candidates, tolerance, higherIsBetter });

describe('choosePrecision', () => {
  it('takes the fastest within the tolerance, also when the loss is just the tolerance', () => {
    const choice = choose([fp32, fp16, int8], 0.005);
    expect(choice).toMatchObject({ precision: 'int8', speedup: 2.4 });
    expect(choice.reason).toBe('int8 is 2.4 times as fast as fp32 and loses 0.005, within the tolerance of 0.005.');
  });

  it('says what a faster one would lose', () => {
    expect(choose([fp32, fp16, int8], 0.001).reason).toBe('fp16 is 1.3 times as fast as fp32 and loses nothing; int8 would lose 0.005.');
    expect(choose([fp32, int8], 0)).toEqual({
      precision: 'fp32',
      loss: 0,
      speedup: 1,
      reason: 'fp32 stays, because int8 would lose 0.005, more than the tolerance of 0.',
    });
  });

  it('stays with fp32 when nothing is faster', () => {
    expect(choose([fp32, { ...int8, speed: 90 }], 1).reason).toBe('fp32 stays, because no other precision is faster.');
    expect(choose([fp32], 1).reason).toBe('fp32 is the only candidate.');
  });

  it('knows metrics that are errors, and scores that are no numbers', () => {
    expect(choose([fp32, { ...int8, score: 0.99 }], 0.01, false).precision).toBe('fp32');
    expect(choose([fp32, { ...int8, score: 0.5 }], 0, false).precision).toBe('int8');
    expect(choose([fp32, { ...int8, score: Number.NaN }], 1).precision).toBe('fp32');
  });

  it('takes the better of two that are equally fast', () => {
    expect(choose([fp32, int8, { ...fp16, speed: 240 }], 0.01).precision).toBe('fp16');
  });

  it.each([
    ['no fp32', [int8], 0],
    ['two fp32', [fp32, fp32], 0],
    ['a speed of 0', [fp32, { ...int8, speed: 0 }], 0],
    ['a negative tolerance', [fp32, int8], -1],
    ['a tolerance that is no number', [fp32, int8], Number.NaN],
  ])('refuses %s', (_, candidates, tolerance) => {
    try {
      choose(candidates, tolerance);
      expect.fail('no error');
    } catch (error) {
      expect((error as AppError).code).toBe('INPUT_INVALID');
    }
  });
});
