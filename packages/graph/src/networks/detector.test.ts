import { afterEach, describe, expect, it } from 'vitest';
import { lowerModel } from '../lower/index.ts';
import { type DetectedBox, meanAveragePrecision, type TruthBox } from '../metrics/index.ts';
import { buildNetwork, createRandom, float32Tensor, inspectModel, type Model, readModel, writeModel } from '../onnx/index.ts';
import { type Box, boxTable, nms } from '../ops/index.ts';
import { openSession } from '../session/index.ts';
import { createTrainer, epochBatches, learningRateAt, optimizerFrom, type Trainer } from '../train/index.ts';
import { buildDetector, detectionGridOf, detectionTargets, prepareGrid, type TargetBox } from './index.ts';

const SIDE = 64;
const PIXELS = SIDE * SIDE;
const LABELS = ['square', 'disc', 'bar'];

interface Scene {
  readonly pixels: Float32Array;
  readonly boxes: readonly TargetBox[];
}

const COLOURS = [
  [1, 0.2, 0.1],
  [0.1, 0.9, 0.2],
  [0.2, 0.3, 1],
] as const;

/** One to three shapes, each of a class with a colour of its own, on a noisy ground; they do not touch. */
function makeScene(seed: number): Scene {
  const random = createRandom(77, seed);
  const pixels = Float32Array.from({ length: 3 * PIXELS }, () => 0.3 * random.uniform());
  const boxes: TargetBox[] = [];
  const count = 1 + Math.floor(3 * random.uniform());
  for (let tries = 0; boxes.length < count && tries < 50; tries++) {
    const index = Math.floor(3 * random.uniform());
    const width = 10 + Math.floor(16 * random.uniform());
    const height = index === 2 ? Math.ceil(width / 2) : width;
    const [x, y] = [Math.floor((SIDE - width) * random.uniform()), Math.floor((SIDE - height) * random.uniform())];
    const box: Box = [x, y, x + width, y + height];
    if (boxes.some(({ box: b }) => box[0] < b[2] + 2 && b[0] < box[2] + 2 && box[1] < b[3] + 2 && b[1] < box[3] + 2)) continue;
    boxes.push({ box, index });
    for (let row = y; row < y + height; row++) {
      for (let column = x; column < x + width; column++) {
        const [dx, dy] = [(column + 0.5 - x) / width - 0.5, (row + 0.5 - y) / height - 0.5];
        if (index === 1 && Math.hypot(dx, dy) > 0.5) continue;
        for (let c = 0; c < 3; c++) pixels[c * PIXELS + row * SIDE + column] = (COLOURS[index]?.[c] ?? 0) * (0.8 + 0.2 * random.uniform());
      }
    }
  }
  return { pixels, boxes };
}

const scenes = (count: number, from: number): Scene[] => Array.from({ length: count }, (_, i) => makeScene(from + i));

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

const BATCH = 16;
const detector = (seed = 3): Model =>
  buildDetector({ inputShape: [3, SIDE, SIDE], classes: LABELS.length, strides: [8], width: 0.5, seed });

async function start(model: Model): Promise<Trainer> {
  const trainer = await createTrainer({ model, loss: { kind: 'detection' }, optimizer: optimizerFrom({}), batchSize: BATCH, clipNorm: 10 });
  open.push(trainer);
  return trainer;
}

async function train(trainer: Trainer, model: Model, data: readonly Scene[], epochs: number, top = 0.004): Promise<number> {
  const grid = prepareGrid(detectionGridOf(model));
  const targets = data.map(({ boxes }) => detectionTargets(boxes, grid));
  const size = targets[0]?.length ?? 0;
  const [x, y] = [new Float32Array(BATCH * 3 * PIXELS), new Float32Array(BATCH * size)];
  let loss = Number.NaN;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const batch of epochBatches({ count: data.length, batchSize: BATCH, seed: 1, epoch })) {
      batch.forEach((sample, i) => {
        x.set(data[sample]?.pixels ?? [], i * 3 * PIXELS);
        y.set(targets[sample] ?? [], i * size);
      });
      const lr = learningRateAt(
        { type: 'cosine', warmup_epochs: 0.5 },
        { lr: top, epochs, stepsPerEpoch: data.length / BATCH, step: trainer.step },
      );
      loss = (await trainer.trainStep({ x, y }, lr)).loss;
    }
  }
  return loss;
}

/** What the step `nms` makes of the model's output. */
function readDetections(outputs: Float32Array, count: number): DetectedBox[] {
  const rows = 4 + LABELS.length;
  const size = outputs.length / count;
  return Array.from({ length: count }, (_, image) => {
    const table = boxTable(outputs.subarray(image * size, (image + 1) * size), [rows, size / rows], LABELS);
    return nms(table, { IoU_thr: 0.5, conf_thr: 0.05 }, LABELS).map((found) => ({ ...found, image }));
  }).flat();
}

const flatten = (data: readonly Scene[]): Float32Array => {
  const x = new Float32Array(data.length * 3 * PIXELS);
  for (const [i, { pixels }] of data.entries()) x.set(pixels, i * 3 * PIXELS);
  return x;
};
const truthsOf = (data: readonly Scene[]): TruthBox[] => data.flatMap(({ boxes }, image) => boxes.map((box) => ({ ...box, image })));

describe('tiny-detector', () => {
  it('gives boxes in pixels and probabilities, as nms reads them, for any batch', async () => {
    const model = buildDetector({ inputShape: [3, 32, 64], classes: 2, seed: 1 });
    expect(detectionGridOf(model)).toEqual({ width: 64, height: 32, strides: [8, 16], classes: 2 });
    const session = await openSession(writeModel(model));
    expect(session.outputs).toEqual([{ name: 'detections', dataType: 'float32', shape: [null, 6, 40] }]);
    const result = await session.run({ input: float32Tensor([2, 3, 32, 64], new Float32Array(2 * 3 * 32 * 64)) });
    const output = Float32Array.from(result.detections?.data ?? [], Number);
    // Without an input all that is left are the first biases: boxes of 4 strides around each cell.
    const rows = Array.from({ length: 6 }, (_, row) => output[row * 40 + 9] ?? 0);
    for (const [i, value] of [12, 12, 32, 32, 0.02, 0.02].entries()) expect(rows[i]).toBeCloseTo(value, 4);
    const last = Array.from({ length: 4 }, (_, row) => output[row * 40 + 39] ?? 0);
    for (const [i, value] of [56, 24, 64, 64].entries()) expect(last[i]).toBeCloseTo(value, 4);
    await session.close();
  });

  it('has the same weights for the same seed, before and after training', async () => {
    const data = scenes(BATCH, 0);
    const trained = async () => {
      const trainer = await start(detector(5));
      await train(trainer, detector(5), data, 2);
      return writeModel(trainer.exportModel());
    };
    expect(writeModel(detector(5))).toEqual(writeModel(detector(5)));
    expect(writeModel(detector(6))).not.toEqual(writeModel(detector(5)));
    expect(await trained()).toEqual(await trained());
  });

  it('learns to find shapes in scenes that it has not seen', async () => {
    const model = detector();
    const trainer = await start(model);
    await train(trainer, model, scenes(320, 0), 10);
    const unseen = scenes(64, 10_000);
    const metrics = meanAveragePrecision(readDetections(await trainer.predict(flatten(unseen)), unseen.length), truthsOf(unseen));
    expect(metrics.map50).toBeGreaterThan(0.85);
    expect(metrics.map).toBeGreaterThan(0.45);
    expect(metrics.perClass.map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it('is exported without normalizations, for native engines, and can be trained further', async () => {
    const model = detector();
    const data = scenes(BATCH, 0);
    const first = await start(model);
    await train(first, model, data, 30);
    const exported = readModel(writeModel(first.exportModel()));
    expect(inspectModel(exported).opCounts).not.toHaveProperty('BatchNormalization');
    expect(lowerModel(exported)).not.toHaveProperty('unsupported');
    expect(detectionGridOf(exported)).toEqual(detectionGridOf(model));
    const second = await start(exported);
    const before = await train(second, exported, data, 1, 1e-6);
    expect(await train(second, exported, data, 30, 0.001)).toBeLessThan(before * 0.8);
  });

  it('refuses pictures that are no whole number of cells, and models that are no detectors', async () => {
    const spec = { classes: 2, seed: 1 };
    expect(() => buildDetector({ ...spec, inputShape: [3, 40, 64] })).toThrow(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
    expect(() => buildDetector({ ...spec, inputShape: [3, 16, 16], classes: 20 })).toThrow(/too few/);
    const other = buildNetwork({ layers: 'mlp', inputShape: [3, 8, 8], classes: 2, seed: 1 });
    expect(() => detectionGridOf(other)).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }));
    await expect(start(other)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });
});
