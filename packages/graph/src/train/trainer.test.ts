import type { AppError, Layer } from '@selvedge/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { buildNetwork, createRandom, inspectModel, type Model, readModel, writeModel } from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import { epochBatches } from './batches.ts';
import { optimizerFrom } from './optimizers.ts';
import { type Batch, createTrainer, type Trainer, type TrainerOptions } from './trainer.ts';

const SIDE = 8;
const PIXELS = SIDE * SIDE;
const CLASSES = 4;

/** Noisy pictures with one bright quarter, which is their class. */
function quarters(count: number, seed: number): { x: Float32Array; y: Int32Array } {
  const random = createRandom(seed);
  const y = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const x = Float32Array.from({ length: count * PIXELS }, (_, i) => {
    const [row, column] = [Math.floor((i % PIXELS) / SIDE), i % SIDE];
    const quarter = (row < SIDE / 2 ? 0 : 2) + (column < SIDE / 2 ? 0 : 1);
    return random.uniform() + (quarter === y[Math.floor(i / PIXELS)] ? 0.5 : 0);
  });
  return { x, y };
}

const CNN: readonly Layer[] = [
  { conv: { filters: 4, kernel: 3 } },
  'batchnorm',
  'relu',
  { maxpool: 2 },
  'flatten',
  { dropout: 0.2 },
  { dense: 16 },
  'batchnorm',
  'relu',
  'classifier',
];
const network = (layers: readonly Layer[], seed = 5): Model =>
  buildNetwork({ layers, inputShape: [1, SIDE, SIDE], classes: CLASSES, seed });

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

async function start(options: Partial<TrainerOptions> = {}): Promise<Trainer> {
  const trainer = await createTrainer({
    model: network(CNN),
    loss: 'cross-entropy',
    optimizer: optimizerFrom({}),
    batchSize: 16,
    seed: 1,
    ...options,
  });
  open.push(trainer);
  return trainer;
}

function gather(data: { x: Float32Array; y: Int32Array }, indices: Int32Array): Batch {
  const x = new Float32Array(indices.length * PIXELS);
  indices.forEach((sample, i) => {
    x.set(data.x.subarray(sample * PIXELS, (sample + 1) * PIXELS), i * PIXELS);
  });
  return { x, y: Int32Array.from(indices, (sample) => data.y[sample] ?? 0) };
}

async function trainEpochs(trainer: Trainer, data: { x: Float32Array; y: Int32Array }, epochs: readonly number[]): Promise<number> {
  let loss = Number.NaN;
  for (const epoch of epochs) {
    for (const batch of epochBatches({ count: data.y.length, batchSize: 16, seed: 1, epoch }))
      loss = (await trainer.trainStep(gather(data, batch), 0.01)).loss;
  }
  return loss;
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: AppError) => error.code,
  );

describe('training', () => {
  it('learns to tell classes apart and does so on data that it has not seen', async () => {
    const trainer = await start();
    await trainEpochs(trainer, quarters(130, 1), [0, 1, 2, 3, 4, 5, 6, 7]);
    const unseen = await trainer.evaluate(quarters(200, 2));
    expect(unseen.accuracy).toBeGreaterThan(0.98);
    expect(unseen.loss).toBeLessThan(0.15);
  });

  it('gives the same weights for the same seed, and others for another', async () => {
    const data = quarters(48, 1);
    const trained = async (seed: number) => {
      const trainer = await start({ seed });
      await trainEpochs(trainer, data, [0]);
      return writeModel(trainer.exportModel());
    };
    const first = await trained(1);
    expect(await trained(1)).toEqual(first);
    expect(await trained(2)).not.toEqual(first);
  });

  it('goes on from a checkpoint as if it had not stopped', async () => {
    const data = quarters(48, 1);
    const whole = await start();
    await trainEpochs(whole, data, [0]);
    const state = whole.exportState();
    await trainEpochs(whole, data, [1]);
    const resumed = await start();
    resumed.importState(state);
    expect(resumed.step).toBe(3);
    await trainEpochs(resumed, data, [1]);
    expect(writeModel(resumed.exportModel())).toEqual(writeModel(whole.exportModel()));
  });

  it('refuses the checkpoint of another training', async () => {
    const other = await start({ optimizer: optimizerFrom({ optimizer: 'sgd' }) });
    const trainer = await start();
    expect(() => trainer.importState(other.exportState())).toThrow(/another model or other options/);
  });

  it.each(['sgd', 'adam', 'adamw'] as const)('lowers the loss with %s', async (optimizer) => {
    const data = quarters(64, 1);
    const trainer = await start({ model: network(['flatten', 'classifier']), optimizer: optimizerFrom({ optimizer }) });
    const before = await trainer.evaluate(data);
    await trainEpochs(trainer, data, [0, 1, 2, 3]);
    expect((await trainer.evaluate(data)).loss).toBeLessThan(before.loss * 0.8);
  });

  it.each(['mse', 'bce-with-logits'] as const)('lowers the loss %s against given values', async (loss) => {
    const { x, y } = quarters(16, 1);
    const wanted = Float32Array.from({ length: y.length * CLASSES }, (_, i) => (y[Math.floor(i / CLASSES)] === i % CLASSES ? 1 : 0));
    const trainer = await start({ model: network(['flatten', 'classifier']), loss });
    const before = await trainer.evaluate({ x, y: wanted });
    const { loss: first } = await trainer.trainStep({ x, y: wanted }, 0.01);
    expect(first).toBeCloseTo(before.loss, 4);
    for (let step = 0; step < 30; step++) await trainer.trainStep({ x, y: wanted }, 0.01);
    const after = await trainer.evaluate({ x, y: wanted });
    expect(after.loss).toBeLessThan(before.loss * 0.7);
    expect(after.accuracy).toBeNull();
  });

  it('lets running statistics follow those of the batch', async () => {
    const trainer = await start({ model: network(['batchnorm', 'classifier']) });
    const { x, y } = quarters(16, 1);
    await trainer.trainStep({ x, y }, 0);
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const { initializers } = trainer.exportModel().graph;
    expect(Number(initializers.get('mean1')?.data[0])).toBeCloseTo(0.1 * mean, 5);
    expect(Number(initializers.get('var1')?.data[0])).toBeCloseTo(0.9 + 0.1 * variance, 5);
  });

  it('stops with step, batch and samples when the loss is no longer finite, and keeps the weights', async () => {
    const trainer = await start({ model: network(['flatten', 'classifier']) });
    const batch = gather(
      quarters(16, 1),
      Int32Array.from({ length: 16 }, (_, i) => i),
    );
    await trainer.trainStep(batch, 0.01);
    const before = trainer.exportState();
    const poisoned = { ...batch, x: batch.x.with(3, Number.NaN).with(5 * PIXELS, Number.POSITIVE_INFINITY), index: 7 };
    await expect(trainer.trainStep(poisoned, 0.01)).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
      details: { data: { step: 1, batch: 7, samples: [0, 5] }, message: expect.stringContaining('batch 7') },
    });
    expect(trainer.exportState()).toEqual(before);
  });

  it('refuses batches that do not fit', async () => {
    const trainer = await start();
    const { x, y } = quarters(16, 1);
    expect(await codeOf(trainer.trainStep({ x: x.subarray(1), y }, 0.1))).toBe('SHAPE_MISMATCH');
    expect(await codeOf(trainer.trainStep({ x, y: y.subarray(1) }, 0.1))).toBe('SHAPE_MISMATCH');
    expect(await codeOf(trainer.trainStep({ x, y: Float32Array.from(y) }, 0.1))).toBe('SHAPE_MISMATCH');
    expect(await codeOf(trainer.trainStep({ x, y: y.with(0, CLASSES) }, 0.1))).toBe('INPUT_INVALID');
    expect(await codeOf(start({ batchSize: 0 }))).toBe('INPUT_INVALID');
  });
});

describe('the exported model', () => {
  it('has normalization folded in and no dropout, and any batch size', async () => {
    const trainer = await start();
    const data = quarters(48, 1);
    await trainEpochs(trainer, data, [0, 1]);
    const model = readModel(writeModel(trainer.exportModel()));
    expect(inspectModel(model)).toMatchObject({
      opCounts: { Conv: 1, MaxPool: 1, Relu: 2, Flatten: 1, Gemm: 2 },
      inputs: [{ shape: [null, 1, SIDE, SIDE] }],
    });
    const session = await openSession(writeModel(model));
    const result = await session.run({ input: { type: 'float32', dims: [5, 1, SIDE, SIDE], data: data.x.subarray(0, 5 * PIXELS) } });
    expect(result.logits?.data).toEqual(await trainer.predict(data.x.subarray(0, 5 * PIXELS)));
    await session.close();
  });

  it('keeps a normalization that follows no layer', async () => {
    const layers: readonly Layer[] = [
      { conv: { filters: 4, kernel: 3, stride: 2 } },
      'batchnorm',
      'relu',
      { dense: 6 },
      'batchnorm',
      'classifier',
    ];
    const trainer = await start({ model: network([...layers.slice(0, 4), 'sigmoid', ...layers.slice(4)]) });
    await trainEpochs(trainer, quarters(48, 1), [0, 1, 2]);
    const { opCounts } = inspectModel(trainer.exportModel());
    expect(opCounts).toMatchObject({ BatchNormalization: 1, Conv: 1, Sigmoid: 1 });
    expect((await trainer.evaluate(quarters(100, 9))).accuracy).toBeGreaterThan(0.9);
  });

  it('can be trained further', async () => {
    const first = await start();
    const data = quarters(64, 1);
    await trainEpochs(first, data, [0, 1, 2, 3]);
    const second = await start({ model: readModel(writeModel(first.exportModel())) });
    expect((await second.evaluate(data)).loss).toBeCloseTo((await first.evaluate(data)).loss, 4);
    const before = (await second.evaluate(data)).loss;
    await trainEpochs(second, data, [4, 5]);
    expect((await second.evaluate(data)).loss).toBeLessThan(before);
  });
});
