import { PREPROC_OPS, type PreprocSpec, preprocSchema } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../testing/code-of.ts';
import { imageToTensor, type PixelTensor, type RawImage } from './pixel-tensor.ts';
import { applyPreproc, preprocessImage, preprocOutputShape, splitPreproc } from './preproc.ts';
import { hwctochw, normalize, scale } from './values.ts';

const size = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }));

/** Any chain that the schema accepts, in any order. */
const specArbitrary: fc.Arbitrary<PreprocSpec> = fc
  .record({
    ops: fc.shuffledSubarray([...PREPROC_OPS]),
    resize: size,
    letterbox: size,
    centercrop: size,
    fill: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ ops, resize, letterbox, centercrop, fill }) => {
    const all = { resize, letterbox: { size: letterbox, fill }, centercrop, scale: [-1, 1], normalize: { mean: [0.4], std: [0.3] } };
    const params = Object.fromEntries(Object.entries(all).filter(([op]) => ops.some((name) => name === op)));
    return preprocSchema.safeParse({ pipeline: ops, params });
  })
  .filter((parsed) => parsed.success)
  .map((parsed) => parsed.data!);

const imageArbitrary: fc.Arbitrary<RawImage> = fc
  .record({
    width: fc.integer({ min: 1, max: 8 }),
    height: fc.integer({ min: 1, max: 8 }),
    channels: fc.constantFrom(1 as const, 3 as const, 4 as const),
  })
  .chain((shape) => {
    const bytes = shape.width * shape.height * shape.channels;
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((data): RawImage => ({ ...shape, data }));
  });

const rgb: PixelTensor = { layout: 'HWC', height: 1, width: 2, channels: 3, data: Float32Array.of(0, 51, 255, 102, 204, 153) };

describe('value ops', () => {
  it('hwctochw gathers each channel', () => {
    expect([...hwctochw(rgb).data]).toEqual([0, 102, 51, 204, 255, 153]);
    expect(codeOf(() => hwctochw(hwctochw(rgb)))).toBe('PREPROC_INVALID');
  });

  it('scale maps 0 to lo and 255 to hi exactly for the usual ranges', () => {
    for (const range of [
      [0, 1],
      [-1, 1],
      [0, 255],
      [-128, 127],
    ] as const) {
      const out = scale({ ...rgb, width: 1, data: Float32Array.of(0, 127.5, 255) }, range).data;
      expect([out[0], out[2]]).toEqual([range[0], range[1]]);
      expect(out[1]).toBeCloseTo((range[0] + range[1]) / 2, 5);
    }
  });

  it('normalize uses the value of each channel in either layout', () => {
    const params = { mean: [1, 2, 3], std: [1, 10, 100] };
    const expected = [-1, 4.9, 2.52, 101, 20.2, 1.5];
    normalize(rgb, params).data.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
    expect(normalize(hwctochw(rgb), params).data).toEqual(hwctochw(normalize(rgb, params)).data);
  });

  it('normalize takes one value for all channels and refuses two for three', () => {
    expect(normalize(rgb, { mean: [51], std: [51] }).data[2]).toBe(4);
    expect(codeOf(() => normalize(rgb, { mean: [1, 2], std: [1, 2] }))).toBe('PREPROC_INVALID');
  });
});

describe('applyPreproc', () => {
  it('runs the ops in the order of the pipeline', () => {
    const spec: PreprocSpec = { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [1, 1], scale: [0, 1] } };
    const out = applyPreproc({ ...rgb, data: Float32Array.of(0, 0, 0, 255, 255, 255) }, spec);
    expect({ ...out, data: undefined }).toEqual({ layout: 'CHW', height: 1, width: 1, channels: 1, data: undefined });
    expect(out.data[0]).toBeCloseTo(0.5, 6);
  });

  it('does not change its input', () => {
    fc.assert(
      fc.property(imageArbitrary, specArbitrary, (image, spec) => {
        const tensor = imageToTensor(image);
        const before = tensor.data.slice();
        const out = applyPreproc(tensor, spec);
        out.data.fill(7);
        expect(tensor.data).toEqual(before);
      }),
      { numRuns: 100 },
    );
  });

  it('names the op whose parameters are missing', () => {
    expect(() => applyPreproc(rgb, { pipeline: ['resize'] })).toThrow('"resize" has no parameters');
  });
});

describe('splitPreproc', () => {
  it('puts the pixel ops first and the layout and value ops second', () => {
    const spec: PreprocSpec = { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } };
    expect(splitPreproc(spec)).toEqual({
      pixels: { pipeline: ['resize', 'grayscale'], params: { resize: [28, 28] } },
      tensor: { pipeline: ['hwctochw', 'scale'], params: { scale: [-1, 1] } },
    });
  });

  it('gives two valid chains that together make the same bits', () => {
    fc.assert(
      fc.property(imageArbitrary, specArbitrary, (image, spec) => {
        const { pixels, tensor } = splitPreproc(spec);
        expect(preprocSchema.safeParse(pixels).success && preprocSchema.safeParse(tensor).success).toBe(true);
        const whole = applyPreproc(imageToTensor(image), spec);
        expect(applyPreproc(applyPreproc(imageToTensor(image), pixels), tensor)).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });
});

describe('preprocessImage', () => {
  it('makes the same bits as the ops one by one, with the shape that was foretold', () => {
    fc.assert(
      fc.property(imageArbitrary, specArbitrary, (image, spec) => {
        const expected = applyPreproc(imageToTensor(image), spec);
        const { shape, data } = preprocessImage(image, spec);
        expect(data).toEqual(expected.data);
        expect(shape).toEqual(preprocOutputShape(spec, [image.height, image.width, 3]));
        expect(shape.reduce((a, b) => a * b)).toBe(data.length);
      }),
      { numRuns: 200 },
    );
  });

  it('writes into a batch at an offset and touches nothing else', () => {
    fc.assert(
      fc.property(imageArbitrary, specArbitrary, (image, spec) => {
        const expected = preprocessImage(image, spec).data;
        const batch = new Float32Array(expected.length + 5).fill(-9);
        const { data } = preprocessImage(image, spec, { data: batch, offset: 3 });
        expect(data).toEqual(expected);
        expect([...batch]).toEqual([-9, -9, -9, ...expected, -9, -9]);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses a target that is too short', () => {
    const image: RawImage = { width: 2, height: 1, channels: 3, data: new Uint8Array(6) };
    expect(codeOf(() => preprocessImage(image, { pipeline: [] }, { data: new Float32Array(6), offset: 1 }))).toBe('SHAPE_MISMATCH');
  });
});

describe('preprocOutputShape', () => {
  it('knows the model input from the chain alone when an op fixes the size', () => {
    const params = { resize: [244, 240] as [number, number], scale: [-1, 1] as [number, number] };
    expect(preprocOutputShape({ pipeline: ['resize', 'hwctochw', 'scale'], params })).toEqual([3, 244, 240]);
    expect(preprocOutputShape({ pipeline: ['resize', 'grayscale', 'scale'], params })).toEqual([244, 240, 1]);
  });

  it('says what is missing when nothing fixes the size', () => {
    const spec: PreprocSpec = { pipeline: ['hwctochw'] };
    expect(codeOf(() => preprocOutputShape(spec))).toBe('PREPROC_INVALID');
    expect(() => preprocOutputShape(spec)).toThrow('height and width');
    expect(preprocOutputShape(spec, [28, 20, 1])).toEqual([1, 28, 20]);
  });

  it('refuses a chain that could not run', () => {
    const normalizeTwo = { mean: [1, 2], std: [1, 2] };
    expect(codeOf(() => preprocOutputShape({ pipeline: ['normalize'], params: { normalize: normalizeTwo } }, [4, 4, 3]))).toBe(
      'PREPROC_INVALID',
    );
    expect(codeOf(() => preprocOutputShape({ pipeline: ['scale'] }, [4, 4, 3]))).toBe('PREPROC_INVALID');
    expect(codeOf(() => preprocOutputShape({ pipeline: ['hwctochw', 'grayscale'] }, [4, 4, 3]))).toBe('PREPROC_INVALID');
    expect(codeOf(() => preprocOutputShape({ pipeline: ['grayscale'] }, [4, 4, 2]))).toBe('PREPROC_INVALID');
  });
});
