import { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import {
  type Attributes,
  attribute,
  createRandom,
  elementCount,
  float32Tensor,
  inferShapes,
  inspectModel,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  opsetOf,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import { normalizeModel } from './normalize-model.ts';
import { optimizerFrom } from './optimizers.ts';
import { createTrainer } from './trainer.ts';

const random = createRandom(2);
const weights = (...dims: number[]) =>
  float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => random.normal() / 2),
  );

/** A model as other tools export it: "x" [1, 3, 6, 6], a fixed batch. */
function exported(opset: number, nodes: readonly Node[], initializers: Readonly<Record<string, TensorData>>): Model {
  const last = nodes.at(-1)?.outputs[0] ?? '';
  return {
    irVersion: 6,
    producer: 'other',
    opsets: [{ domain: '', version: opset }],
    graph: {
      name: 'g',
      nodes,
      initializers: new Map(Object.entries(initializers)),
      inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 6, 6] }],
      outputs: [{ name: last, type: 'float32', shape: [1, 4] }],
    },
    metadata: { author: 'someone' },
  };
}

const { int, ints, float, string } = attribute;

/** What the operators looked like in opset 9, with a reshape that repeats the batch. */
function oldModel(): Model {
  const conv: Attributes = { auto_pad: string('SAME_UPPER'), strides: ints([2, 2]), kernel_shape: ints([3, 3]) };
  const shape: Attributes = { value: { kind: 'tensor', value: int64Tensor([1, 36]) } };
  return exported(
    9,
    [
      makeNode('Conv', ['x', 'w'], ['c'], conv),
      makeNode('Clip', ['c'], ['r'], { min: float(0), max: float(6) }),
      makeNode('Constant', [], ['shape'], shape),
      makeNode('Reshape', ['r', 'shape'], ['f']),
      makeNode('Dropout', ['f'], ['d'], { ratio: float(0.25) }),
      makeNode('Gemm', ['d', 'fc', 'b'], ['z'], { transB: int(1) }),
      makeNode('Softmax', ['z'], ['p'], { axis: int(1) }),
    ],
    { w: weights(4, 3, 3, 3), fc: weights(4, 36), b: weights(4) },
  );
}

const pictures = (count: number) =>
  float32Tensor(
    [count, 3, 6, 6],
    Float32Array.from({ length: count * 108 }, () => random.uniform()),
  );

async function run(model: Model, x: TensorData): Promise<number[]> {
  const session = await openSession(writeModel(model));
  const result = await session.run({ x });
  await session.close();
  return Array.from(result[model.graph.outputs[0]!.name]!.data, Number);
}

describe('normalizeModel', () => {
  it('keeps what an old model computes', async () => {
    const model = oldModel();
    const normal = normalizeModel(model);
    expect(opsetOf(normal)).toBe(17);
    const x = pictures(1);
    const expected = await run(model, x);
    for (const [i, value] of (await run(normal, x)).entries()) expect(value).toBeCloseTo(expected[i]!, 6);
  });

  it('opens a fixed batch, also in a reshape', () => {
    const normal = normalizeModel(oldModel());
    expect(inspectModel(normal).inputs[0]?.shape).toEqual([null, 3, 6, 6]);
    expect(inferShapes(normal, { batch: 5 }).get('p')?.shape).toEqual([5, 4]);
  });

  it('refuses softmax over several axes of an old model', () => {
    const model = exported(11, [makeNode('Softmax', ['x'], ['p'], { axis: int(1) })], {});
    expect(() => normalizeModel(model)).toThrow(expect.objectContaining({ code: 'OP_UNSUPPORTED' }));
  });

  it.each([6, 23])('refuses opset %i', (opset) => {
    expect(() => normalizeModel(exported(opset, [makeNode('Relu', ['x'], ['y'])], {}))).toThrow(AppError);
  });
});

describe('fine-tuning a model from elsewhere', () => {
  it('lowers its loss and keeps its outputs probabilities', async () => {
    const trainer = await createTrainer({ model: oldModel(), loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: 8, seed: 3 });
    const x = pictures(8).data as Float32Array;
    const y = Int32Array.from({ length: 8 }, (_, i) => i % 4);
    const before = await trainer.evaluate({ x, y });
    for (let step = 0; step < 150; step++) await trainer.trainStep({ x, y }, 0.01);
    const after = await trainer.evaluate({ x, y });
    expect(after.loss).toBeLessThan(before.loss / 2);
    const [a = 0, b = 0, c = 0, d = 0] = await trainer.predict(x);
    expect(a + b + c + d).toBeCloseTo(1, 5);
    expect(trainer.exportModel().metadata).toEqual({ author: 'someone' });
    await trainer.close();
  });

  it('names the node that cannot be trained', async () => {
    const shape: Attributes = { value: { kind: 'tensor', value: int64Tensor([0, -1]) } };
    const nodes = [
      makeNode('Constant', [], ['s'], shape),
      makeNode('Reshape', ['x', 's'], ['f']),
      makeNode('Gemm', ['f', 'w'], ['z']),
      makeNode('Erf', ['z'], ['y'], {}, 'odd-one'),
    ];
    const options = { loss: 'mse', optimizer: optimizerFrom({}), batchSize: 2 } as const;
    await expect(createTrainer({ ...options, model: exported(17, nodes, { w: weights(108, 4) }) })).rejects.toThrow(/Erf "odd-one"/);
    await expect(createTrainer({ ...options, model: exported(17, [makeNode('Relu', ['x'], ['y'])], {}) })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
    });
  });
});
