import type { Layer } from '@selvedge/contract';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Attributes,
  attribute,
  buildNetwork,
  createRandom,
  elementCount,
  float32Tensor,
  inferShapes,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import { fitClassifier } from './fit-classifier.ts';
import { optimizerFrom } from './optimizers.ts';
import { createTrainer, type Trainer, type TrainerOptions } from './trainer.ts';

const { int, ints } = attribute;
const random = createRandom(11);
const weights = (...dims: number[]) =>
  float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => random.normal() / 2),
  );

/** A model as other tools export it: "x" [N, 3, 6, 6] to "y" [N, 4]. */
function exported(nodes: readonly Node[], initializers: Readonly<Record<string, TensorData>>, opset = 17): Model {
  return {
    irVersion: 8,
    producer: 'other',
    opsets: [{ domain: '', version: opset }],
    graph: {
      name: 'theirs',
      nodes,
      initializers: new Map(Object.entries(initializers)),
      inputs: [{ name: 'x', type: 'float32', shape: ['N', 3, 6, 6] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['N', 4] }],
    },
    metadata: {},
  };
}

const open: Trainer[] = [];
afterEach(async () => {
  for (const trainer of open.splice(0)) await trainer.close();
});

async function start(model: Model, options: Partial<TrainerOptions> = {}): Promise<Trainer> {
  const trainer = await createTrainer({ model, loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: 8, ...options });
  open.push(trainer);
  return trainer;
}

const batch = (classes: number) => ({
  x: Float32Array.from({ length: 8 * 108 }, () => random.normal()),
  y: Int32Array.from({ length: 8 }, (_, i) => i % classes),
});

async function lossFalls(trainer: Trainer, classes: number): Promise<void> {
  const data = batch(classes);
  const { loss: before } = await trainer.trainStep(data, 0.02);
  let after = before;
  for (let step = 0; step < 80; step++) after = (await trainer.trainStep(data, 0.02)).loss;
  expect(after).toBeLessThan(before * 0.5);
}

const LAYERS: readonly Layer[] = [{ conv: { filters: 4, kernel: 3 } }, 'batchnorm', 'relu6', 'flatten', { dense: 8 }, 'relu', 'classifier'];
const network = (): Model => buildNetwork({ layers: LAYERS, inputShape: [3, 6, 6], classes: 4, seed: 1 });

/** Names of the initializers that differ. */
function changed(before: Model, after: Model): string[] {
  return [...before.graph.initializers]
    .filter(([name, { data }]) => {
      const other = after.graph.initializers.get(name)?.data;
      return other !== undefined && data.some((value, i) => value !== other[i]);
    })
    .map(([name]) => name);
}

describe('training only some weights', () => {
  it('leaves all others as they are, by the name of a weight', async () => {
    const plain = buildNetwork({ layers: ['flatten', { dense: 8 }, 'relu', 'classifier'], inputShape: [3, 6, 6], classes: 4, seed: 1 });
    const trainer = await start(plain, { trainable: ['?2'] });
    await lossFalls(trainer, 4);
    expect(changed(plain, trainer.exportModel())).toEqual(['W2', 'B2']);
  });

  it('takes the name of a node as well', async () => {
    const plain = buildNetwork({ layers: ['flatten', { dense: 8 }, 'relu', 'classifier'], inputShape: [3, 6, 6], classes: 4, seed: 1 });
    const trainer = await start(plain, { trainable: ['gemm1'] });
    await trainer.trainStep(batch(4), 0.01);
    expect(changed(plain, trainer.exportModel())).toEqual(['W1', 'B1']);
  });

  it('keeps a normalization as it is in use when its weights are not trained', async () => {
    const model = network();
    const variance = model.graph.initializers.get('var1');
    if (variance?.type === 'float32') variance.data.set([0.5, 2, 1, 3]);
    const trainer = await start(model, { trainable: ['W3', 'B*'] });
    const data = batch(4);
    const before = await trainer.evaluate(data);
    // The loss of a step is that of the model in use: nothing is normalized by the batch.
    expect((await trainer.trainStep(data, 0.01)).loss).toBeCloseTo(before.loss, 5);
  });

  it('sends gradients through such a normalization', async () => {
    const trainer = await start(network(), { trainable: ['W1'] });
    await lossFalls(trainer, 2);
  });

  it('names the weights that there are when no pattern fits', async () => {
    await expect(start(network(), { trainable: ['layer4.*'] })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { message: expect.stringContaining('"layer4.*"'), hint: expect.stringContaining('W1') },
    });
  });
});

describe('fitClassifier', () => {
  it('replaces the last layer and keeps the others', async () => {
    const model = network();
    const fitted = fitClassifier(model, { classes: 7, seed: 2 });
    expect(inferShapes(fitted).get('logits')?.shape).toEqual([null, 7]);
    expect(changed(model, fitted)).toEqual([]);
    expect(fitClassifier(model, { classes: 7, seed: 2 })).toEqual(fitted);
    expect(fitClassifier(model, { classes: 4, seed: 2 })).toBe(model);
    await lossFalls(await start(fitted), 7);
  });

  const head = (...nodes: Node[]): readonly Node[] => [makeNode('Flatten', ['x'], ['f']), ...nodes];
  const gemm = makeNode('Gemm', ['f', 'w', 'b'], ['z'], { transB: int(1) });
  it.each<[string, Model]>([
    ['Gemm with Softmax', exported(head(gemm, makeNode('Softmax', ['z'], ['y'])), { w: weights(4, 108), b: weights(4) })],
    [
      'MatMul with Add',
      exported(head(makeNode('MatMul', ['f', 'w'], ['z']), makeNode('Add', ['b', 'z'], ['y'])), { w: weights(108, 4), b: weights(4) }),
    ],
    [
      'a convolution that is averaged',
      exported([makeNode('Conv', ['x', 'w'], ['c']), makeNode('GlobalAveragePool', ['c'], ['g']), makeNode('Flatten', ['g'], ['y'])], {
        w: weights(4, 3, 3, 3),
      }),
    ],
  ])('knows %s', async (_, model) => {
    const fitted = fitClassifier(model, { classes: 3, seed: 1 });
    const session = await openSession(writeModel(fitted));
    const result = await session.run({ x: float32Tensor([2, 3, 6, 6], new Float32Array(216)) });
    expect(result.y?.dims).toEqual([2, 3]);
    await session.close();
  });

  it('names the node that stands in the way', () => {
    const model = exported(head(gemm, makeNode('Tanh', ['z'], ['y'], {}, 'odd')), { w: weights(4, 108), b: weights(4) });
    expect(() => fitClassifier(model, { classes: 3, seed: 1 })).toThrow(expect.objectContaining({ code: 'OP_UNSUPPORTED' }));
    expect(() => fitClassifier(model, { classes: 3, seed: 1 })).toThrow(/Tanh "odd"/);
  });
});

describe('models as other tools write them', () => {
  it('are trained through parts that are split and joined again', async () => {
    const nodes = [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('Split', ['c'], ['left', 'right'], { axis: int(1) }),
      makeNode('HardSwish', ['left'], ['l']),
      makeNode('Concat', ['l', 'right'], ['j'], { axis: int(1) }),
      makeNode('ReduceMean', ['j'], ['m'], { axes: ints([2, 3]), keepdims: int(0) }),
      makeNode('Gemm', ['m', 'fc'], ['y']),
    ];
    const model = exported(nodes, { w: weights(8, 3, 3, 3), fc: weights(8, 4) });
    const trainer = await start(model);
    await lossFalls(trainer, 2);
  });

  it('may have the reductions of opset 18 and the squeezes of opset 11', async () => {
    const layer = { w: weights(4, 3, 3, 3) };
    const late = [makeNode('Conv', ['x', 'w'], ['c']), makeNode('ReduceMean', ['c', 'axes'], ['y'], { keepdims: int(0) })];
    await lossFalls(await start(exported(late, { ...layer, axes: int64Tensor([2, 3]) }, 18)), 2);
    const squeeze: Attributes = { axes: ints([2, 3]) };
    const early = [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('GlobalAveragePool', ['c'], ['g']),
      makeNode('Squeeze', ['g'], ['y'], squeeze),
    ];
    await lossFalls(await start(exported(early, layer, 11)), 2);
  });
});
