import { AppError } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts';

const code = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error.code : `not an AppError: ${String(error)}`;
  }
};

describe('checkpoint bytes', () => {
  it('are read from a pooled Buffer as well', () => {
    const encoded = encodeCheckpoint('layout', { step: 7, vectors: [Float32Array.of(1.5, -2)] });
    const pooled = Buffer.from(encoded);
    expect(decodeCheckpoint(pooled, 'layout', [2])).toEqual({ step: 7, vectors: [Float32Array.of(1.5, -2)] });
  });

  it('give back what was put in', () => {
    const vectors = fc.array(fc.array(fc.float({ noNaN: true }), { maxLength: 20 }), { maxLength: 4 });
    fc.assert(
      fc.property(fc.string(), fc.nat(), vectors, (layout, step, values) => {
        const arrays = values.map((each) => Float32Array.from(each));
        const decoded = decodeCheckpoint(
          encodeCheckpoint(layout, { step, vectors: arrays }),
          layout,
          arrays.map((each) => each.length),
        );
        expect(decoded).toEqual({ step, vectors: arrays });
      }),
    );
  });

  it('of another training are a conflict', () => {
    const bytes = encodeCheckpoint('a', { step: 1, vectors: [new Float32Array(2)] });
    expect(code(() => decodeCheckpoint(bytes, 'b', [2]))).toBe('CONFLICT');
  });

  it('that are cut off or invented are refused with a reason', () => {
    const bytes = encodeCheckpoint('layout', { step: 7, vectors: [new Float32Array(3)] });
    const isRefused = (candidate: Uint8Array) =>
      ['INPUT_INVALID', 'CONFLICT'].includes(code(() => decodeCheckpoint(candidate, 'layout', [3])) ?? '');
    fc.assert(fc.property(fc.nat(bytes.length - 1), (length) => isRefused(bytes.subarray(0, length))));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), isRefused));
  });
});
