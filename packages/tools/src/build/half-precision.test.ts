import { float32Tensor, type Model, makeNode } from '@selvedge/graph/onnx';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halfBits, roundToHalf, withHalfWeights } from './half-precision.ts';

describe('roundToHalf', () => {
  it('gives the values of worked examples', () => {
    expect(roundToHalf(1)).toBe(1);
    expect(roundToHalf(1 + 2 ** -11)).toBe(1); // a tie goes to the even neighbour
    expect(roundToHalf(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(roundToHalf(65_519)).toBe(65_504);
    expect(roundToHalf(-65_520)).toBe(Number.NEGATIVE_INFINITY);
    expect(roundToHalf(2 ** -24)).toBe(2 ** -24);
    expect(roundToHalf(2 ** -26)).toBe(0);
    expect(roundToHalf(Number.NaN)).toBeNaN();
  });

  it('is within half a step, and changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.float({ min: -60_000, max: 60_000, noNaN: true }), (value) => {
        const rounded = roundToHalf(value);
        expect(Math.abs(rounded - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25));
        expect(roundToHalf(rounded)).toBe(rounded);
      }),
    );
  });
});

describe('halfBits', () => {
  it('gives the bits of worked examples', () => {
    expect([0, -0, 1, -2, 65_504, 2 ** -14, 2 ** -24].map(halfBits)).toEqual([0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 1]);
  });

  it('is read back as the same number', () => {
    const read = (bits: number) => {
      const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
      const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      return (bits & 0x8000) === 0 ? size : -size;
    };
    fc.assert(
      fc.property(fc.float({ min: -60_000, max: 60_000, noNaN: true }).map(roundToHalf), (value) =>
        Object.is(read(halfBits(value)), value),
      ),
    );
  });
});

describe('withHalfWeights', () => {
  it('rounds weights and leaves the rest', () => {
    const weights = float32Tensor([2], Float32Array.of(1.0001, 0.5));
    const graph = { name: 'g', nodes: [makeNode('Relu', ['x'], ['y'])], initializers: new Map([['w', weights]]), inputs: [], outputs: [] };
    const model: Model = { irVersion: 8, producer: '', opsets: [], graph, metadata: {} };
    expect(withHalfWeights(model).graph.initializers.get('w')?.data).toEqual(Float32Array.of(1, 0.5));
  });
});
