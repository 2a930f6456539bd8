import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom, float32Tensor, makeNode } from '../onnx/index.ts';
import { affineOf, dequantiseValue, quantiseValue, roundHalfEven } from './affine.ts';
import { entropyCut, entropyRange, Histogram, percentileRange, RunningRange } from './histogram.ts';
import { quantiseWeights } from './quantise-weights.ts';

const type = fc.constantFrom('int8' as const, 'uint8' as const);
const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const values = (min = 1): fc.Arbitrary<Float32Array> =>
  fc.array(float, { minLength: min, maxLength: 60 }).map((list) => Float32Array.from(list));
const rangeOf = (data: Float32Array): RunningRange => {
  const range = new RunningRange();
  range.add(data);
  return range;
};

describe('affineOf', () => {
  it('is off by half a scale at most, with a positive normal scale, for any range', () => {
    fc.assert(
      fc.property(values(), type, (data, element) => {
        const affine = affineOf(rangeOf(data).range(), element);
        expect(affine.scale).toBe(Math.fround(affine.scale));
        expect(affine.scale).toBeGreaterThan(1.2e-38);
        expect(affine.scale).toBeLessThan(Number.POSITIVE_INFINITY);
        for (const value of data) {
          const error = Math.abs(dequantiseValue(quantiseValue(value, affine), affine) - value);
          expect(error).toBeLessThanOrEqual(affine.scale * (0.5 + 1e-4));
        }
      }),
    );
  });

  it('keeps zero exact', () => {
    fc.assert(
      fc.property(float, float, type, (a, b, element) => {
        const affine = affineOf({ min: Math.min(a, b), max: Math.max(a, b) }, element);
        expect(dequantiseValue(quantiseValue(0, affine), affine) === 0).toBe(true);
      }),
    );
  });

  it.each([
    ['zero', 0, 0, { scale: 1, zeroPoint: -128 }],
    ['a positive constant', 255, 255, { scale: 1, zeroPoint: -128 }],
    ['a negative constant', -255, -255, { scale: 1, zeroPoint: 127 }],
    ['both signs', -128, 127, { scale: 1, zeroPoint: 0 }],
  ])('spreads %s', (_, min, max, expected) => {
    expect(affineOf({ min, max }, 'int8')).toEqual({ type: 'int8', ...expected });
  });

  it('rounds halves to even', () => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4].map(roundHalfEven)).toEqual([-2, -2, 0, 0, 2, 2, 2]);
  });
});

describe('ranges from histograms', () => {
  it('are never wider than the smallest and largest value', () => {
    fc.assert(
      fc.property(values(), fc.double({ min: 51, max: 100, noNaN: true }), (data, percentile) => {
        const full = rangeOf(data).range();
        const all = new Histogram(full, 512);
        all.add(data);
        const magnitudes = new Histogram({ min: 0, max: Math.max(Math.abs(full.min), Math.abs(full.max)) }, 512);
        magnitudes.addMagnitudes(data);
        for (const range of [percentileRange(all, full, percentile), entropyRange(magnitudes, full)]) {
          expect(range.min).toBeGreaterThanOrEqual(full.min);
          expect(range.max).toBeLessThanOrEqual(full.max);
          expect(range.min).toBeLessThanOrEqual(range.max);
        }
      }),
    );
  });

  const tailed = (): Float32Array => {
    const random = createRandom(3);
    return Float32Array.from({ length: 100_000 }, (_, i) => (i < 5 ? 100 : random.normal()));
  };

  it('percentile cuts off what lies beyond it, on both sides', () => {
    const data = Float32Array.from({ length: 10_000 }, (_, i) => i / 10_000);
    const full = { min: 0, max: 1 };
    const histogram = new Histogram(full, 1000);
    histogram.add(data);
    const range = percentileRange(histogram, full, 90);
    expect(range.min).toBeCloseTo(0.05, 2);
    expect(range.max).toBeCloseTo(0.95, 2);
    expect(percentileRange(histogram, full, 100)).toEqual(full);
  });

  it('percentile and entropy drop outliers', () => {
    const data = tailed();
    const full = rangeOf(data).range();
    const all = new Histogram(full, 8192);
    all.add(data);
    expect(percentileRange(all, full, 99.98).max).toBeLessThan(6);
    const magnitudes = new Histogram({ min: 0, max: full.max }, 2048);
    magnitudes.addMagnitudes(data);
    expect(entropyRange(magnitudes, full).max).toBeLessThan(20);
  });

  it('entropy keeps a distribution without a tail', () => {
    expect(entropyCut(new Float64Array(2048).fill(7), 128)).toBe(2048);
  });

  it('entropy finds the least divergence: the sums agree with the definition', () => {
    const random = createRandom(9);
    const counts = Float64Array.from({ length: 64 }, (_, i) => Math.floor(random.uniform() * 200 * Math.exp(-i / 8)));
    counts[63] = 1;
    const sum = (list: Float64Array): number => list.reduce((total, value) => total + value, 0);
    const divergence = (cut: number): number => {
      const reference = counts.slice(0, cut);
      reference[cut - 1] = counts.slice(cut - 1).reduce((sum, count) => sum + count, 0);
      const candidate = new Float64Array(cut);
      for (let level = 0; level < 8; level++) {
        const [from, to] = [Math.floor((level * cut) / 8), Math.floor(((level + 1) * cut) / 8)];
        const filled = reference.slice(from, to).filter((count) => count > 0).length;
        const mean = counts.slice(from, to).reduce((sum, count) => sum + count, 0) / filled;
        for (let i = from; i < to; i++)
          candidate[i] = (reference[i] ?? 0) > 0 ? Math.max(mean, i === cut - 1 ? 1e-4 * sum(counts.slice(0, cut)) : 0) : 0;
      }
      const [p, q] = [sum(reference), sum(counts.slice(0, cut))];
      return reference.reduce(
        (total, value, i) => total + (value > 0 ? (value / p) * Math.log(value / p / ((candidate[i] ?? 0) / q)) : 0),
        0,
      );
    };
    const cuts = Array.from({ length: 57 }, (_, i) => i + 8);
    const best = cuts.reduce((least, cut) => (divergence(cut) <= divergence(least) ? cut : least));
    expect(divergence(entropyCut(counts, 8))).toBeCloseTo(divergence(best), 12);
  });

  it('see values that are not finite', () => {
    expect(new RunningRange().add(Float32Array.of(1, Number.NaN))).toBe(1);
    expect(new RunningRange().add(Float32Array.of(Number.NEGATIVE_INFINITY))).toBe(0);
    expect(new RunningRange().range()).toEqual({ min: 0, max: 0 });
  });
});

describe('quantiseWeights', () => {
  const conv = makeNode('Conv', ['x', 'w', 'b'], ['y']);
  const float32 = (dims: number[], data: Float32Array) => float32Tensor(dims, data) as Parameters<typeof quantiseWeights>[1];

  it('is off by half a scale at most, within -127..127, and keeps every bias within int32', () => {
    const scale = fc.double({ min: 1e-6, max: 1e6, noNaN: true }).map(Math.fround);
    const small = fc.float({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(small, { minLength: 12, maxLength: 12 }),
        fc.array(small, { minLength: 3, maxLength: 3 }),
        scale,
        scale,
        (w, b, input, output) => {
          const { weights, bias } = quantiseWeights(conv, float32([3, 4, 1, 1], Float32Array.from(w)), float32([3], Float32Array.from(b)), {
            input,
            output,
          });
          const scales = weights.scales.data as Float32Array;
          for (const [i, value] of (weights.values.data as Int8Array).entries()) {
            const own = scales[Math.floor(i / 4)]!;
            expect(own).toBeGreaterThan(0);
            expect(Math.abs(value)).toBeLessThanOrEqual(127);
            expect(Math.abs(value * own - Math.fround(w[i]!))).toBeLessThanOrEqual(own * (0.5 + 1e-4));
          }
          for (const [i, value] of (bias!.values.data as Int32Array).entries()) {
            const own = (bias!.scales.data as Float32Array)[i]!;
            expect(own).toBe(Math.fround(input * scales[i]!));
            expect(Math.abs(value * own - Math.fround(b[i]!))).toBeLessThanOrEqual(own * 0.5 + Math.abs(b[i]!) * 1e-6);
          }
        },
      ),
    );
  });

  it('gives a channel of zeros a scale', () => {
    const { weights } = quantiseWeights(conv, float32([2, 1, 1], Float32Array.of(0, 127)), undefined, { input: 1, output: 1 });
    expect(weights.scales.data).toEqual(Float32Array.of(1, 1));
    const none = quantiseWeights(conv, float32([2, 1, 1], new Float32Array(2)), undefined, { input: 1, output: 1 });
    expect(none.weights.scales.data).toEqual(Float32Array.of(1, 1));
  });
});
