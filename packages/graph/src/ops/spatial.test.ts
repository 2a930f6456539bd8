import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../testing/code-of.ts';
import { imageToTensor, type PixelTensor } from './pixel-tensor.ts';
import { centercrop, grayscale, letterbox, letterboxWindow, resize } from './spatial.ts';
import { hwctochw } from './values.ts';

function grey(height: number, width: number, values: readonly number[]): PixelTensor {
  return { layout: 'HWC', height, width, channels: 1, data: Float32Array.from(values) };
}

const tensorArbitrary = fc
  .record({ height: fc.integer({ min: 1, max: 12 }), width: fc.integer({ min: 1, max: 12 }), channels: fc.constantFrom(1, 3) })
  .chain(({ height, width, channels }) =>
    fc
      .array(fc.integer({ min: 0, max: 255 }), { minLength: height * width * channels, maxLength: height * width * channels })
      .map((values): PixelTensor => ({ layout: 'HWC', height, width, channels, data: Float32Array.from(values) })),
  );
const edge = fc.integer({ min: 1, max: 20 });

/** Bilinear sampling as the sum over all pixels of triangle weights, in float64, at clamped half-pixel coordinates. */
function sampleByTriangles(tensor: PixelTensor, y: number, x: number, c: number): number {
  const sy = Math.min(Math.max(y, 0), tensor.height - 1);
  const sx = Math.min(Math.max(x, 0), tensor.width - 1);
  let sum = 0;
  for (let i = 0; i < tensor.height; i++) {
    for (let j = 0; j < tensor.width; j++) {
      const weight = Math.max(0, 1 - Math.abs(sy - i)) * Math.max(0, 1 - Math.abs(sx - j));
      sum += weight * tensor.data[(i * tensor.width + j) * tensor.channels + c]!;
    }
  }
  return sum;
}

describe('resize', () => {
  it('interpolates between half-pixel centres and clamps at the edges', () => {
    // Two pixels 0 and 100 to four: centres at -0.25, 0.25, 0.75, 1.25 of the input.
    expect([...resize(grey(1, 2, [0, 100]), [1, 4]).data]).toEqual([0, 25, 75, 100]);
    // Four to two: centres at 0.5 and 2.5.
    expect([...resize(grey(4, 1, [0, 10, 20, 40]), [2, 1]).data]).toEqual([5, 30]);
    // Odd to one: the centre pixel alone, because nothing is averaged over a wider area.
    expect([...resize(grey(1, 5, [9, 9, 1, 9, 9]), [1, 1]).data]).toEqual([1]);
  });

  it('interpolates in both directions', () => {
    const out = resize(grey(2, 2, [0, 80, 160, 240]), [4, 4]);
    expect([...out.data]).toEqual([0, 20, 60, 80, 40, 60, 100, 120, 120, 140, 180, 200, 160, 180, 220, 240]);
  });

  it('leaves a picture of the right size as it is, bit for bit', () => {
    fc.assert(
      fc.property(tensorArbitrary, (tensor) => {
        expect(resize(tensor, [tensor.height, tensor.width]).data).toEqual(tensor.data);
      }),
      { numRuns: 50 },
    );
  });

  it('equals sampling with triangle weights, at any size', () => {
    fc.assert(
      fc.property(tensorArbitrary, edge, edge, (tensor, height, width) => {
        const out = resize(tensor, [height, width]);
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            for (let c = 0; c < tensor.channels; c++) {
              const expected = sampleByTriangles(
                tensor,
                ((y + 0.5) * tensor.height) / height - 0.5,
                ((x + 0.5) * tensor.width) / width - 0.5,
                c,
              );
              expect(Math.abs(out.data[(y * width + x) * tensor.channels + c]! - expected)).toBeLessThan(1e-3);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('keeps a flat picture flat, and every value within the range of the input', () => {
    fc.assert(
      fc.property(tensorArbitrary, edge, edge, (tensor, height, width) => {
        const values = resize(tensor, [height, width]).data;
        // Float32 rounding may step over by one unit in the last place.
        expect(Math.max(...values)).toBeLessThanOrEqual(Math.max(...tensor.data) + 1e-4);
        expect(Math.min(...values)).toBeGreaterThanOrEqual(Math.min(...tensor.data) - 1e-4);
        const flat = { ...tensor, data: new Float32Array(tensor.data.length).fill(0.1) };
        expect(new Set(resize(flat, [height, width]).data)).toEqual(new Set([Math.fround(0.1)]));
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a CHW tensor', () => {
    expect(codeOf(() => resize(hwctochw(grey(2, 2, [1, 2, 3, 4])), [1, 1]))).toBe('PREPROC_INVALID');
  });
});

describe('letterbox', () => {
  it('centres the picture and fills the rest, the odd pixel below', () => {
    // 2x4 into 5x4: width limits, the picture keeps its size, 3 spare rows: 1 above, 2 below.
    const out = letterbox(grey(2, 4, [1, 2, 3, 4, 5, 6, 7, 8]), [5, 4]);
    expect([...out.data]).toEqual([114, 114, 114, 114, 1, 2, 3, 4, 5, 6, 7, 8, 114, 114, 114, 114, 114, 114, 114, 114]);
  });

  it('enlarges a small picture, with the given fill', () => {
    // 1x1 into 2x3: the height limits, so 2x2 at the left, one spare column to the right.
    expect([...letterbox(grey(1, 1, [7]), [2, 3], 0).data]).toEqual([7, 7, 0, 7, 7, 0]);
  });

  it('rounds the free edge half up and never below one pixel', () => {
    expect(letterboxWindow([3, 2], [5, 9])).toEqual({ top: 0, left: 3, height: 5, width: 3 });
    expect(letterboxWindow([4, 2], [5, 9])).toEqual({ top: 0, left: 3, height: 5, width: 3 });
    expect(letterboxWindow([1000, 1], [10, 10])).toEqual({ top: 0, left: 4, height: 10, width: 1 });
    expect(letterboxWindow([720, 1280], [640, 640])).toEqual({ top: 140, left: 0, height: 360, width: 640 });
  });

  it('touches two opposite sides, stays inside, and keeps the aspect ratio to half a pixel', () => {
    fc.assert(
      fc.property(edge, edge, edge, edge, (inputHeight, inputWidth, height, width) => {
        const window = letterboxWindow([inputHeight, inputWidth], [height, width]);
        expect(window.height === height || window.width === width).toBe(true);
        expect(window.top + window.height).toBeLessThanOrEqual(height);
        expect(window.left + window.width).toBeLessThanOrEqual(width);
        const ratio = Math.min(height / inputHeight, width / inputWidth);
        expect(Math.abs(window.height - Math.max(1, inputHeight * ratio))).toBeLessThanOrEqual(0.5 + 1e-9);
        expect(Math.abs(window.width - Math.max(1, inputWidth * ratio))).toBeLessThanOrEqual(0.5 + 1e-9);
      }),
    );
  });
});

describe('centercrop', () => {
  it('cuts the middle, an odd margin rounded down at the top and left', () => {
    const out = centercrop(grey(3, 4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), [1, 3]);
    expect([...out.data]).toEqual([4, 5, 6]);
  });

  it('pads an axis that is too short with zeros', () => {
    const out = centercrop(grey(1, 4, [1, 2, 3, 4]), [4, 2]);
    expect([...out.data]).toEqual([0, 0, 2, 3, 0, 0, 0, 0]);
  });

  it('is undone by cropping back, when it padded', () => {
    fc.assert(
      fc.property(tensorArbitrary, fc.nat(6), fc.nat(6), (tensor, moreRows, moreColumns) => {
        const padded = centercrop(tensor, [tensor.height + moreRows, tensor.width + moreColumns]);
        expect(centercrop(padded, [tensor.height, tensor.width]).data).toEqual(tensor.data);
      }),
      { numRuns: 50 },
    );
  });
});

describe('grayscale', () => {
  it('weighs red, green and blue by BT.601 without rounding to whole numbers', () => {
    const out = grayscale({
      layout: 'HWC',
      height: 1,
      width: 4,
      channels: 3,
      data: Float32Array.of(100, 0, 0, 0, 100, 0, 0, 0, 100, 10, 20, 30),
    });
    expect(out.channels).toBe(1);
    [29.9, 58.7, 11.4, 18.15].forEach((expected, i) => {
      expect(out.data[i]).toBeCloseTo(expected, 4);
    });
  });

  it('leaves one channel alone and refuses two', () => {
    expect([...grayscale(grey(1, 2, [3, 4])).data]).toEqual([3, 4]);
    expect(codeOf(() => grayscale({ layout: 'HWC', height: 1, width: 1, channels: 2, data: Float32Array.of(1, 2) }))).toBe(
      'PREPROC_INVALID',
    );
  });
});

describe('imageToTensor', () => {
  it('gives three channels for grey, RGB and RGBA, and drops alpha', () => {
    const base = { width: 2, height: 1 } as const;
    expect([...imageToTensor({ ...base, channels: 1, data: Uint8Array.of(5, 9) }).data]).toEqual([5, 5, 5, 9, 9, 9]);
    expect([...imageToTensor({ ...base, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }).data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...imageToTensor({ ...base, channels: 4, data: Uint8Array.of(1, 2, 3, 0, 4, 5, 6, 255) }).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('refuses data of the wrong length', () => {
    expect(codeOf(() => imageToTensor({ width: 2, height: 2, channels: 3, data: new Uint8Array(11) }))).toBe('SHAPE_MISMATCH');
  });
});
