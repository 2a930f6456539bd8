import { describe, expect, it } from 'vitest';
import { goldenTolerance } from './golden.ts';
import { writeGoldenFile } from './golden-file.ts';

describe('goldenTolerance', () => {
  it('is a share of the size of the output for fp32 and fp16', () => {
    expect(goldenTolerance('fp32', Float32Array.of(-5, 0, 5), Float32Array.of(-5, 0, 5))).toBeCloseTo(0.01);
    expect(goldenTolerance('fp16', Float32Array.of(-5, 0, 5), Float32Array.of(-5, 0, 5))).toBeCloseTo(0.2);
    expect(goldenTolerance('fp32', Float32Array.of(0, 0), Float32Array.of(0, 0))).toBeGreaterThan(0);
  });

  it('follows for int8 what quantisation costs, within bounds', () => {
    expect(goldenTolerance('int8', Float32Array.of(0, 10), Float32Array.of(0, 10))).toBeCloseTo(0.3); // at least 3 %
    expect(goldenTolerance('int8', Float32Array.of(0, 10), Float32Array.of(0, 9.6))).toBeCloseTo(0.8); // twice the distance
    expect(goldenTolerance('int8', Float32Array.of(0, 10), Float32Array.of(0, 2))).toBeCloseTo(1.5); // at most 15 %
  });
});

describe('writeGoldenFile', () => {
  const output = { name: 'y', shape: [1, 2], data: Float32Array.of(3, -0.1) };
  const write = (values: number[], isHalf: boolean) =>
    Buffer.from(
      writeGoldenFile({
        input: { name: 'x', shape: [1, values.length], data: Float32Array.from(values), isHalf },
        output,
        tolerance: 1e-7,
      }),
    );
  const parts = (file: Buffer) => {
    const end = 8 + Number(file.readBigUInt64LE());
    return { end, header: JSON.parse(file.subarray(8, end).toString()), values: file.subarray(end) };
  };

  it('is a safetensors file whose values lie one after the other, aligned', () => {
    const { end, header, values } = parts(write([1, -0.25, 2 ** -24], true));
    expect(end % 8).toBe(0);
    expect(header).toEqual({
      __metadata__: { tolerance: '1e-7' },
      'output/y': { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] },
      'input/x': { dtype: 'F16', shape: [1, 3], data_offsets: [8, 14] },
    });
    expect([values.readFloatLE(0), values.readFloatLE(4)]).toEqual([3, Math.fround(-0.1)]);
    expect(values.subarray(8).toString('hex')).toBe('003c00b40100');
  });

  it('has values that half precision cannot hold as they are', () => {
    const { header, values } = parts(write([70_000], false));
    expect(header['input/x']).toEqual({ dtype: 'F32', shape: [1, 1], data_offsets: [8, 12] });
    expect(values.readFloatLE(8)).toBe(70_000);
  });
});
