import { afterEach, describe, expect, it } from 'vitest';
import { lowerModel } from '../lower/index.ts';
import { retrievalMetrics } from '../metrics/index.ts';
import { createRandom, inspectModel, type Model, writeModel } from '../onnx/index.ts';
import { createTrainer, epochBatches, optimizerFrom, type Trainer } from '../train/index.ts';
import { buildEmbedding } from './index.ts';

const SIDE = 16;
const PIXELS = 3 * SIDE * SIDE;
const SEEN = 40;
const BATCH = 16;

/** Pictures of people as they are told apart: the colours of four stripes are theirs, light, place and noise are the picture's. */
function pictures(identities: readonly number[], each: number, seed: number): { x: Float32Array; y: Int32Array } {
  const y = Int32Array.from({ length: identities.length * each }, (_, i) => i % identities.length);
  const x = new Float32Array(y.length * PIXELS);
  y.forEach((row, i) => {
    const person = createRandom(900, identities[row] ?? 0);
    const colours = Array.from({ length: 12 }, () => person.uniform());
    const random = createRandom(seed, i);
    const [light, shift] = [0.7 + 0.6 * random.uniform(), Math.floor(3 * random.uniform()) - 1];
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < SIDE * SIDE; p++) {
        const stripe = Math.min(3, Math.max(0, Math.floor((Math.floor(p / SIDE) + shift) / 4)));
        x[i * PIXELS + c * SIDE * SIDE + p] = light * (colours[stripe * 3 + c] ?? 0) + 0.15 * random.normal() - 0.5;
      }
    }
  });
  return { x, y };
}

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

const network = (): Model => buildEmbedding({ inputShape: [3, SIDE, SIDE], size: 16, width: 0.5, seed: 4 });

async function start(): Promise<Trainer> {
  const loss = { kind: 'identity', identities: SEEN } as const;
  const trainer = await createTrainer({ model: network(), loss, optimizer: optimizerFrom({}), batchSize: BATCH });
  open.push(trainer);
  return trainer;
}

async function train(trainer: Trainer, { x, y }: { x: Float32Array; y: Int32Array }, epochs: number): Promise<void> {
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const batch of epochBatches({ count: y.length, batchSize: BATCH, seed: 2, epoch })) {
      const samples = new Float32Array(BATCH * PIXELS);
      batch.forEach((sample, i) => {
        samples.set(x.subarray(sample * PIXELS, (sample + 1) * PIXELS), i * PIXELS);
      });
      await trainer.trainStep({ x: samples, y: batch.map((sample) => y[sample] ?? 0) }, 0.005);
    }
  }
}

const people = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('embedding', () => {
  it('learns to bring pictures of one person together, also of people that it has not seen', async () => {
    const trainer = await start();
    await train(trainer, pictures(people(0, SEEN), 8, 1), 8);
    const unseen = pictures(people(100, 10), 6, 2);
    const after = retrievalMetrics({ embeddings: await trainer.predict(unseen.x), identities: unseen.y });
    expect(after.queries).toBe(60);
    expect(after.rank1).toBeGreaterThan(0.9);
    expect(after.map).toBeGreaterThan(0.7);
  });

  it('gives vectors of length 1 and is exported without what only training needs', async () => {
    const trainer = await start();
    const data = pictures(people(0, SEEN), 4, 1);
    await train(trainer, data, 1);
    const vectors = await trainer.predict(data.x.subarray(0, 3 * PIXELS));
    for (let row = 0; row < 3; row++) expect(Math.hypot(...vectors.subarray(row * 16, (row + 1) * 16))).toBeCloseTo(1, 5);
    const model = trainer.exportModel();
    expect([...model.graph.initializers.keys()].filter((name) => name.startsWith('train.'))).toEqual([]);
    expect(inspectModel(model).opCounts).not.toHaveProperty('BatchNormalization');
    expect(lowerModel(model)).not.toHaveProperty('unsupported');
  });

  it('goes on from a checkpoint with the identities that it had learned', async () => {
    const data = pictures(people(0, SEEN), 4, 1);
    const whole = await start();
    await train(whole, data, 1);
    const state = whole.exportState();
    await train(whole, data, 1);
    const resumed = await start();
    resumed.importState(state);
    await train(resumed, data, 1);
    expect(writeModel(resumed.exportModel())).toEqual(writeModel(whole.exportModel()));
    expect(resumed.exportState()).toEqual(whole.exportState());
  });

  it('refuses what cannot be trained', async () => {
    expect(() => buildEmbedding({ inputShape: [3, SIDE, SIDE], size: 1, seed: 1 })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
    const options = { model: network(), optimizer: optimizerFrom({}), batchSize: 2 };
    await expect(createTrainer({ ...options, loss: { kind: 'identity', identities: 1 } })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const trainer = await start();
    const { x, y } = pictures(people(0, SEEN), 2, 1);
    const batch = { x: x.subarray(0, BATCH * PIXELS), y: y.subarray(0, BATCH).with(0, SEEN) };
    await expect(trainer.trainStep(batch, 0.01)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(trainer.evaluate({ x, y })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});
