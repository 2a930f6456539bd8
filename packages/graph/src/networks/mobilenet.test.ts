import { afterEach, describe, expect, it } from 'vitest';
import { lowerModel } from '../lower/index.ts';
import { buildNetwork, createRandom, inspectModel, type Model, readModel, writeModel } from '../onnx/index.ts';
import { createTrainer, optimizerFrom, type Trainer } from '../train/index.ts';

const SIDE = 32;
const PIXELS = SIDE * SIDE;
const CLASSES = 4;
const BATCH = 32;

const network = (width = 0.5, seed = 1): Model =>
  buildNetwork({ layers: 'mobilenet-tiny', inputShape: [1, SIDE, SIDE], classes: CLASSES, width, seed });

/** Stripes of four directions, anywhere, in noise. */
function stripes(count: number, seed: number): { x: Float32Array; y: Int32Array } {
  const random = createRandom(seed);
  const y = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const phases = Array.from(y, () => random.uniform());
  const x = Float32Array.from({ length: count * PIXELS }, (_, i) => {
    const sample = Math.floor(i / PIXELS);
    const [row, column] = [Math.floor((i % PIXELS) / SIDE), i % SIDE];
    const along = [row, column, (row + column) / Math.SQRT2, (row - column) / Math.SQRT2][y[sample] ?? 0] ?? 0;
    return Math.sin(along + 7 * (phases[sample] ?? 0)) + 0.5 * random.normal();
  });
  return { x, y };
}

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

async function trained(steps: number, seed = 1): Promise<Trainer> {
  const trainer = await createTrainer({ model: network(0.5, seed), loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: BATCH });
  open.push(trainer);
  for (let step = 0; step < steps; step++) await trainer.trainStep(stripes(BATCH, 100 + step), 0.01);
  return trainer;
}

describe('mobilenet-tiny', () => {
  it('learns, and does so on pictures that it has not seen', async () => {
    const trainer = await trained(60);
    expect((await trainer.evaluate(stripes(200, 1))).accuracy).toBeGreaterThan(0.95);
  });

  it('has the same weights for the same seed, before and after training', async () => {
    expect(writeModel(network())).toEqual(writeModel(network()));
    const first = writeModel((await trained(3)).exportModel());
    expect(writeModel((await trained(3)).exportModel())).toEqual(first);
    expect(writeModel((await trained(3, 2)).exportModel())).not.toEqual(first);
  });

  it('is exported as convolutions and relu6 alone, for native engines', async () => {
    const model = readModel(writeModel((await trained(1)).exportModel()));
    expect(inspectModel(model).opCounts).toEqual({ Conv: 11, Clip: 11, GlobalAveragePool: 1, Flatten: 1, Gemm: 1 });
    expect(lowerModel(model)).not.toHaveProperty('unsupported');
  });

  it('grows with its width', () => {
    const parameters = (width: number) => inspectModel(network(width)).parameterCount;
    expect(parameters(2)).toBeGreaterThan(3 * parameters(1));
    expect(parameters(0.25)).toBeLessThan(parameters(0.5));
    expect(() => network(8)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });
});
