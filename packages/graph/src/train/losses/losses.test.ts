import { afterEach, describe, expect, it } from 'vitest';
import { float32Tensor, IR_VERSION, type Model, makeNode, OPSET } from '../../onnx/index.ts';
import { createTrainer, type Trainer } from '../trainer.ts';
import type { LossSpec } from './index.ts';

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

/** x + w, where w is what is trained and begins with 0: the loss of a first step is that of x. */
function passing(shape: readonly number[], name: string): Model {
  const w = float32Tensor([1, ...shape], new Float32Array(shape.reduce((a, b) => a * b, 1)));
  return {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: 'g',
      nodes: [makeNode('Add', ['x', 'w'], [name])],
      initializers: new Map([['w', w]]),
      inputs: [{ name: 'x', type: 'float32', shape: ['N', ...shape] }],
      outputs: [{ name, type: 'float32', shape: ['N', ...shape] }],
    },
    metadata: {},
  };
}

interface Start {
  readonly loss: LossSpec;
  readonly shape: readonly number[];
  readonly batchSize: number;
  readonly clipNorm?: number;
}

async function start({ loss, shape, batchSize, clipNorm }: Start): Promise<Trainer> {
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const;
  const options = { model: passing(shape, 'raw'), loss, optimizer, batchSize };
  const trainer = await createTrainer(clipNorm === undefined ? options : { ...options, clipNorm });
  open.push(trainer);
  return trainer;
}

describe('cross-entropy', () => {
  // Probabilities 3/4 and 1/4 for both samples, the first of class 0, the second of class 1.
  const x = Float32Array.of(Math.log(3), 0, Math.log(3), 0);
  const y = Int32Array.of(0, 1);
  const [likely, rare] = [-Math.log(0.75), -Math.log(0.25)];
  const lossOf = async (loss: LossSpec) => (await (await start({ loss, shape: [2], batchSize: 2 })).trainStep({ x, y }, 0)).loss;

  it('counts samples by the weight of their class', async () => {
    expect(await lossOf({ kind: 'cross-entropy', classWeights: [1, 3] })).toBeCloseTo((likely + 3 * rare) / 4, 5);
    expect(await lossOf({ kind: 'cross-entropy', classWeights: [2, 2] })).toBeCloseTo(await lossOf('cross-entropy'), 6);
  });

  it('spreads a share of the target over all classes', async () => {
    const [right, wrong] = [0.9, 0.1];
    const expected = (right * likely + wrong * rare + (right * rare + wrong * likely)) / 2;
    expect(await lossOf({ kind: 'cross-entropy', labelSmoothing: 0.2 })).toBeCloseTo(expected, 5);
  });

  it('refuses parameters that make no sense', async () => {
    const refused = { code: 'INPUT_INVALID' };
    await expect(lossOf({ kind: 'cross-entropy', classWeights: [1] })).rejects.toMatchObject(refused);
    await expect(lossOf({ kind: 'cross-entropy', classWeights: [1, 0] })).rejects.toMatchObject(refused);
    await expect(lossOf({ kind: 'cross-entropy', labelSmoothing: 1 })).rejects.toMatchObject(refused);
  });
});

describe('identity', () => {
  it('asks of the right identity that it is nearer by the margin', async () => {
    const shape = [2];
    const x = Float32Array.of(1, 0, 0, 1);
    const lossOf = async (margin: number) => {
      const trainer = await start({ loss: { kind: 'identity', identities: 2, scale: 4, margin }, shape, batchSize: 2 });
      return (await trainer.trainStep({ x, y: Int32Array.of(0, 1) }, 0)).loss;
    };
    // Every margin m makes a loss log(1 + r) into log(1 + r e^(4 m)), so it can only rise, by 4 m at most.
    const [without, some] = [await lossOf(0), await lossOf(0.5)];
    expect(some).toBeGreaterThan(without);
    expect(some - without).toBeLessThanOrEqual(4 * 0.5);
  });
});

describe('detection', () => {
  /** left, top, right, bottom, weight, quality of one cell; the prediction is 1 stride in each direction and probability 1/2. */
  const lossOf = async (target: readonly number[]) => {
    const trainer = await start({ loss: { kind: 'detection' }, shape: [5, 1], batchSize: 1 });
    return (await trainer.trainStep({ x: new Float32Array(5), y: Float32Array.from(target) }, 0)).loss;
  };
  const half = 0.25 * Math.log(2);

  it('has no cost of the box where it is right', async () => {
    expect(await lossOf([1, 1, 1, 1, 1, 1])).toBeCloseTo(half, 5);
  });

  it('takes 1 - GIoU of the box, twice', async () => {
    // Areas 4 and 6, of which 4 are shared; nothing lies between them.
    expect(await lossOf([2, 1, 1, 1, 1, 1])).toBeCloseTo(half + 2 * (1 - 4 / 6), 5);
    // The target is 1.5 by 4; 1.5 by 2 are shared, and 2 by 4 enclose both.
    const [shared, union, hull] = [1.5 * 2, 4 + 6 - 3, 2 * 4];
    expect(await lossOf([1, 2, 0.5, 2, 1, 1])).toBeCloseTo(half + 2 * (1 - shared / union + (hull - union) / hull), 5);
  });

  it('weighs the box of a cell, and counts an empty picture as one object', async () => {
    expect(await lossOf([2, 1, 1, 1, 0.5, 1])).toBeCloseTo(half + 2 * 0.5 * (1 - 4 / 6), 5);
    expect(await lossOf([1, 1, 1, 1, 0, 0])).toBeCloseTo(half, 5);
  });
});

describe('a bounded gradient', () => {
  const batch = { x: Float32Array.of(3, -4), y: Float32Array.of(0, 0) };
  const change = async (clipNorm?: number) => {
    const trainer = await start({ loss: 'mse', shape: [2], batchSize: 1, ...(clipNorm === undefined ? {} : { clipNorm }) });
    await trainer.trainStep(batch, 1);
    return Array.from(trainer.exportModel().graph.initializers.get('w')?.data ?? [], Number);
  };

  it('keeps its direction and is not longer than the bound', async () => {
    // The gradient of the mean of squares is x itself here: length 5.
    expect(await change()).toEqual([-3, 4]);
    const [a = 0, b = 0] = await change(1);
    expect(a).toBeCloseTo(-0.6, 5);
    expect(b).toBeCloseTo(0.8, 5);
    expect(await change(5.5)).toEqual([-3, 4]);
  });

  it('is refused without a length', async () => {
    await expect(change(0)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});
