import { afterEach, describe, expect, it } from 'vitest';
import { lowerModel } from '../lower/index.ts';
import { type DetectedBox, meanAveragePrecision, type TruthBox } from '../metrics/index.ts';
import { createRandom, inspectModel, type Model, readModel, writeModel } from '../onnx/index.ts';
import { type Box, boxTable, nms } from '../ops/index.ts';
import { openSession } from '../session/index.ts';
import { createTrainer, epochBatches, learningRateAt, optimizerFrom, type Trainer } from '../train/index.ts';
import { buildDetector, detectionGridOf, detectionTargets, type TargetBox } from './index.ts';

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

async function train(trainer: Trainer, model: Model, data: readonly Scene[], epochs: number): Promise<number> {
  const grid = detectionGridOf(model);
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
        { lr: 0.004, epochs, stepsPerEpoch: data.length / BATCH, step: trainer.step },
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
  it('learns to find shapes in scenes that it has not seen', async () => {
    const model = detector();
    const trainer = await start(model);
    await train(trainer, model, scenes(320, 0), 10);
    const unseen = scenes(64, 10_000);
    const metrics = meanAveragePrecision(readDetections(await trainer.predict(flatten(unseen)), unseen.length), truthsOf(unseen));
    console.log(JSON.stringify(metrics));
    expect(metrics.map50).toBeGreaterThan(0.85);
    expect(metrics.map).toBeGreaterThan(0.45);
    expect(metrics.perClass.map(({ index }) => index)).toEqual([0, 1, 2]);
  });
});
