import { beforeAll, describe, expect, it } from 'vitest';
import { attribute, buildNetwork, createRandom, float32Tensor, type Model, makeNode, type Node, type TensorData } from '../onnx/index.ts';
import { createTrainer, epochBatches, optimizerFrom } from '../train/index.ts';
import { type ActivationType, type CalibrationMethod, calibrate, compareLayers, type Feeds, quantiseModel, sensitivity } from './index.ts';
import { runOnce, seeded, seededBatches, seededModel } from './seeded-model.ts';

const SIDE = 14;
const PIXELS = SIDE * SIDE;
const CLASSES = 10;
/** Segments of each digit on a display: top, top left, top right, middle, bottom left, bottom right, bottom. */
const SEGMENTS = ['1110111', '0010010', '1011101', '1011011', '0111010', '1101011', '1101111', '1010010', '1111111', '1111011'];
const BOXES = [
  [0, 0, 1, 5],
  [0, 0, 5, 1],
  [0, 4, 5, 5],
  [4, 0, 5, 5],
  [4, 0, 9, 1],
  [4, 4, 9, 5],
  [8, 0, 9, 5],
] as const;

interface Pictures {
  readonly x: Float32Array;
  readonly y: Int32Array;
}

/** Digits of a display, moved about, faint and noisy. */
function digits(count: number, seed: number): Pictures {
  const random = createRandom(seed);
  const x = Float32Array.from({ length: count * PIXELS }, () => random.normal() * 0.2);
  const y = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  for (const [i, digit] of y.entries()) {
    const [down, right] = [Math.floor(random.uniform() * 5), Math.floor(random.uniform() * 8)];
    const ink = 0.5 + random.uniform();
    for (const [s, [top, left, bottom, end]] of BOXES.entries()) {
      if (SEGMENTS[digit]?.[s] !== '1') continue;
      for (let row = top; row < bottom; row++)
        for (let column = left; column < end; column++) x[i * PIXELS + (row + down) * SIDE + column + right]! += ink;
    }
  }
  return { x, y };
}

const batchesOf = ({ x }: Pictures, samples: number, size: number): Feeds[] =>
  Array.from({ length: samples / size }, (_, i) => ({
    input: float32Tensor([size, 1, SIDE, SIDE], x.subarray(i * size * PIXELS, (i + 1) * size * PIXELS)),
  }));

function topOf(logits: Float32Array): number[] {
  return Array.from({ length: logits.length / CLASSES }, (_, i) => {
    const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
    return row.indexOf(Math.max(...row));
  });
}

async function predict(model: Model, { x, y }: Pictures): Promise<number[]> {
  const results = await runOnce(model, { input: float32Tensor([y.length, 1, SIDE, SIDE], x) });
  return topOf(results.logits!.data as Float32Array);
}

const share = (a: readonly number[], b: ArrayLike<number>): number => a.filter((value, i) => value === b[i]).length / a.length;

async function train(data: Pictures): Promise<Model> {
  const model = buildNetwork({
    layers: [
      { conv: { filters: 8, kernel: 3 } },
      'batchnorm',
      'relu',
      { maxpool: 2 },
      { conv: { filters: 16, kernel: 3 } },
      { maxpool: 2 },
      'relu',
      { dense: 32 },
      'relu',
      'classifier',
    ],
    inputShape: [1, SIDE, SIDE],
    classes: CLASSES,
    seed: 3,
  });
  const trainer = await createTrainer({ model, loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: 32, seed: 1 });
  for (let epoch = 0; epoch < 8; epoch++) {
    for (const samples of epochBatches({ count: data.y.length, batchSize: 32, seed: 1, epoch })) {
      const x = new Float32Array(samples.length * PIXELS);
      for (const [i, sample] of samples.entries()) x.set(data.x.subarray(sample * PIXELS, (sample + 1) * PIXELS), i * PIXELS);
      await trainer.trainStep({ x, y: Int32Array.from(samples, (sample) => data.y[sample]!) }, 0.004);
    }
  }
  const trained = trainer.exportModel();
  await trainer.close();
  return trained;
}

describe('a trained classifier of digits', () => {
  const training = digits(4000, 1);
  const test = digits(2000, 2);
  let model: Model;
  let expected: number[];
  beforeAll(async () => {
    model = await train(training);
    expected = await predict(model, test);
  });

  const cases = (['minmax', 'percentile', 'entropy'] as const).flatMap((method) =>
    (['int8', 'uint8'] as const).map((type) => [method, type] as const),
  );
  it.each<readonly [CalibrationMethod, ActivationType]>(cases)('agrees with its float form (%s, %s)', async (method, activationType) => {
    expect(share(expected, test.y)).toBeGreaterThan(0.95);
    const ranges = await calibrate(model, batchesOf(training, 200, 20), { method });
    const { model: int8, kept } = quantiseModel(model, ranges, { activationType });
    const actual = await predict(int8, test);
    expect(kept).toEqual([]);
    expect(share(actual, expected)).toBeGreaterThanOrEqual(0.99);
    expect(share(expected, test.y) - share(actual, test.y)).toBeLessThanOrEqual(0.005);
  });

  it('tells which layers hurt most and what leaving them in float gives', async () => {
    const batches = batchesOf(training, 100, 20);
    const ranges = await calibrate(model, batches, { method: 'minmax' });
    const { model: int8, quantised } = quantiseModel(model, ranges);
    const layers = await compareLayers(model, int8, batches);
    expect(layers.map(({ sqnrDb }) => sqnrDb)).toEqual(layers.map(({ sqnrDb }) => sqnrDb).sort((a, b) => a - b));
    for (const { node, sqnrDb } of layers) {
      expect(quantised).toContain(node);
      expect(sqnrDb).toBeGreaterThan(15);
    }
    expect(layers.some(({ op, value }) => op === 'Conv' && value.startsWith('relu'))).toBe(true);
    const noise = async (candidate: Model): Promise<number> => {
      const [a, b] = [await runOnce(model, batches[0]!), await runOnce(candidate, batches[0]!)];
      return Math.hypot(...(a.logits!.data as Float32Array).map((value, i) => value - Number(b.logits!.data[i])));
    };
    const names = layers.map(({ node }) => node);
    const result = await sensitivity(model, ranges, noise, { layers: [...names, ...names], limit: 3 });
    expect(result.layers.map(({ node }) => node)).toEqual(names.slice(0, 3));
    for (const { score, change } of result.layers) expect(change).toBeCloseTo(score - result.score, 12);
    expect(Math.min(...result.layers.map(({ change }) => change))).toBeLessThan(0);
  });
});

describe('compareLayers', () => {
  it('gives nothing without batches, and stops between two', async () => {
    const model = seededModel({ nodes: [makeNode('Relu', ['x'], ['y'])], dims: [1, 2] });
    const batches = seededBatches([1, 2], 3);
    const { model: int8 } = quantiseModel(model, await calibrate(model, batches, { method: 'minmax' }));
    expect(await compareLayers(model, int8, [])).toEqual([]);
    expect(await compareLayers(model, model, batches)).toEqual([]);
    const stop = new AbortController();
    const counts: number[] = [];
    const options = {
      signal: stop.signal,
      onProgress: (count: number) => {
        counts.push(count);
        stop.abort();
      },
    };
    await expect(compareLayers(model, int8, batches, options)).rejects.toThrow(/abort/);
    expect(counts).toEqual([1]);
  });
});

describe('a detector-like network with branches', () => {
  const DIMS = [1, 3, 16, 16];
  const { int, ints, string } = attribute;
  const pads = ints([1, 1, 1, 1]);

  /** Convolution and SiLU, as x * sigmoid(x). */
  const block = (name: string, input: string, strides = 1): Node[] => [
    makeNode('Conv', [input, `${name}.W`, `${name}.B`], [`${name}.c`], { pads, strides: ints([strides, strides]) }),
    makeNode('Sigmoid', [`${name}.c`], [`${name}.s`]),
    makeNode('Mul', [`${name}.c`, `${name}.s`], [name]),
  ];
  const weights = (name: string, seed: number, filters: number, channels: number): Record<string, TensorData> => ({
    [`${name}.W`]: seeded(seed, [filters, channels, 3, 3], Math.sqrt(2 / (channels * 9))),
    [`${name}.B`]: seeded(seed + 50, [filters], 0.1),
  });
  const constants = {
    ...weights('stem', 1, 8, 3),
    ...weights('down', 2, 16, 8),
    ...weights('deep', 3, 16, 16),
    ...weights('head', 4, 6, 24),
    scales: float32Tensor([4], Float32Array.of(1, 1, 2, 2)),
  };
  const model = seededModel({
    nodes: [
      ...block('stem', 'x'),
      ...block('down', 'stem', 2),
      ...block('deep', 'down'),
      makeNode('Add', ['down', 'deep'], ['sum']),
      makeNode('Resize', ['sum', '', 'scales'], ['up'], {
        mode: string('nearest'),
        coordinate_transformation_mode: string('asymmetric'),
        nearest_mode: string('floor'),
      }),
      makeNode('Concat', ['stem', 'up'], ['both'], { axis: int(1) }),
      makeNode('Conv', ['both', 'head.W', 'head.B'], ['head'], { pads }),
      makeNode('Sigmoid', ['head'], ['y']),
    ],
    constants,
    dims: DIMS,
  });

  it.each(['minmax', 'percentile', 'entropy'] as const)('keeps its results within a few steps (%s)', async (method) => {
    const batches = seededBatches(DIMS, 20);
    const ranges = await calibrate(model, batches, { method });
    const { model: int8, kept } = quantiseModel(model, ranges);
    expect(kept).toEqual([]);
    const layers = await compareLayers(model, int8, batches);
    expect(layers).toHaveLength(model.graph.nodes.length);
    expect(layers[0]!.sqnrDb).toBeGreaterThan(15);
    expect(layers.find(({ value }) => value === 'y')!.sqnrDb).toBeGreaterThan(25);
    const fed = { x: seeded(999, DIMS) };
    const [a, b] = [await runOnce(model, fed), await runOnce(int8, fed)];
    const mean = (a.y!.data as Float32Array).reduce((sum, value, i) => sum + Math.abs(value - Number(b.y!.data[i])), 0) / a.y!.data.length;
    expect(mean).toBeLessThan(0.02);
  });
});
