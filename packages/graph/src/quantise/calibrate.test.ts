import { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { float32Tensor, type Model, makeNode } from '../onnx/index.ts';
import { type CalibrationMethod, type CalibrationProgress, calibrate, type Feeds } from './index.ts';
import { seeded, seededBatches, seededModel } from './seeded-model.ts';

const DIMS = [2, 3];
const METHODS: readonly CalibrationMethod[] = ['minmax', 'percentile', 'entropy'];

const scaled = (): Model =>
  seededModel({
    nodes: [makeNode('Mul', ['x', 'k'], ['m']), makeNode('Relu', ['m'], ['y'])],
    constants: { k: float32Tensor([], Float32Array.of(2)) },
    dims: DIMS,
  });
const feeds = (...values: number[]): Feeds => ({ x: float32Tensor(DIMS, Float32Array.from(values)) });

const failure = (promise: Promise<unknown>): Promise<AppError> =>
  promise.then(
    () => expect.fail('no error'),
    (error: AppError) => error,
  );

describe('calibrate', () => {
  it('finds the smallest and largest value over all batches, of the input too', async () => {
    const { tensors } = await calibrate(scaled(), [feeds(1, 2, 3, 4, 5, 6), feeds(-7, 0, 0, 0, 0, 1)], { method: 'minmax' });
    expect(Object.fromEntries(tensors)).toEqual({ x: { min: -7, max: 6 }, m: { min: -14, max: 12 }, y: { min: 0, max: 12 } });
  });

  it.each(METHODS)('gives the same for the same data, within the smallest and largest value (%s)', async (method) => {
    const batches = seededBatches(DIMS, 40);
    const [full, once, twice] = [
      await calibrate(scaled(), batches, { method: 'minmax' }),
      await calibrate(scaled(), batches, { method }),
      await calibrate(scaled(), batches, { method }),
    ];
    expect(once).toEqual(twice);
    for (const [name, { min, max }] of once.tensors) {
      expect(min).toBeGreaterThanOrEqual(full.tensors.get(name)!.min);
      expect(max).toBeLessThanOrEqual(full.tensors.get(name)!.max);
    }
  });

  it('reads asynchronous data and tells how far it is', async () => {
    const seen: CalibrationProgress[] = [];
    const data = {
      async *[Symbol.asyncIterator](): AsyncGenerator<Feeds> {
        yield* seededBatches(DIMS, 2);
      },
    };
    await calibrate(scaled(), data, { method: 'percentile', onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ pass, batch, batches }) => [pass, batch, batches])).toEqual([
      [1, 1, null],
      [1, 2, null],
      [2, 1, 2],
      [2, 2, 2],
    ]);
  });

  it('stops between two batches', async () => {
    const stop = new AbortController();
    const data = {
      onProgress: () => stop.abort(new AppError('CANCELLED', { message: 'stopped' })),
      signal: stop.signal,
      method: 'minmax',
    } as const;
    let given = 0;
    const endless = {
      *[Symbol.iterator](): Generator<Feeds> {
        for (;;) {
          given += 1;
          yield feeds(1, 2, 3, 4, 5, 6);
        }
      },
    };
    expect((await failure(calibrate(scaled(), endless, data))).code).toBe('CANCELLED');
    expect(given).toBe(1);
  });

  it('works on a model that has nothing to quantise', async () => {
    const model = seededModel({ nodes: [makeNode('Erf', ['x'], ['y'])], dims: DIMS });
    expect((await calibrate(model, seededBatches(DIMS, 1), { method: 'entropy' })).tensors.size).toBe(0);
  });

  it('refuses to work without data', async () => {
    for (const method of METHODS) {
      const error = await failure(calibrate(scaled(), [], { method }));
      expect(error.code).toBe('INPUT_INVALID');
      expect(error.message).toContain('no calibration data');
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('names the tensor and the batch that hold %s', async (value) => {
    const model = seededModel({
      nodes: [makeNode('Log', ['x'], ['l']), makeNode('Sigmoid', ['l'], ['y'])],
      dims: DIMS,
    });
    const bad = Number.isNaN(value) ? -1 : 0;
    const error = await failure(calibrate(model, [feeds(1, 1, 1, 1, 1, 1), feeds(1, 1, 1, bad, 1, 1)], { method: 'minmax' }));
    expect(error.code).toBe('INPUT_INVALID');
    expect(error.details.data).toEqual({ tensor: 'l', batch: 1 });
    expect(error.message).toContain('"l"');
  });

  it('tells which batch has another shape or type', async () => {
    const error = await failure(calibrate(scaled(), [feeds(1, 1, 1, 1, 1, 1), { x: seeded(1, [2, 4]) }], { method: 'minmax' }));
    expect(error.code).toBe('SHAPE_MISMATCH');
    expect(error.message).toContain('Calibration batch 2');
    const ints = { x: { type: 'int32' as const, dims: DIMS, data: new Int32Array(6) } };
    expect((await failure(calibrate(scaled(), [ints], { method: 'minmax' }))).code).toBe('SHAPE_MISMATCH');
    expect((await failure(calibrate(scaled(), [{}], { method: 'minmax' }))).code).toBe('SHAPE_MISMATCH');
  });

  it('notices data that can be read only once', async () => {
    const once = seededBatches(DIMS, 2)[Symbol.iterator]();
    const error = await failure(calibrate(scaled(), once, { method: 'entropy' }));
    expect(error.code).toBe('INPUT_INVALID');
    expect(error.details.hint).toContain('generator');
  });

  it.each([50, 101, Number.NaN])('refuses the percentile %d', async (percentile) => {
    expect((await failure(calibrate(scaled(), seededBatches(DIMS, 1), { method: 'percentile', percentile }))).code).toBe('INPUT_INVALID');
  });
});
