import { afterEach, describe, expect, it } from 'vitest';
import {
  createRandom,
  elementCount,
  float32Tensor,
  IR_VERSION,
  inferShapes,
  type Model,
  makeNode,
  OPSET,
  shuffle,
  type TensorData,
  writeModel,
} from '../../onnx/index.ts';
import { openSession, type Session, type Tensor } from '../../session/index.ts';
import { FEED, feedName, next, slotsLength } from '../feeds.ts';
import { normalizeModel } from '../normalize-model.ts';
import { buildTrainingGraph } from '../training-graph.ts';
import { GRADIENT_CASES, type OpCase } from './gradient-cases.ts';
import { TRAINABLE_OPS } from './registry.ts';

const scalar = (value: number) => float32Tensor([], Float32Array.of(value));

/** Distinct values, evenly spread over -2..2 without 0: no two are close and none is at the kink of relu. */
function spreadValues(count: number, seed: number, shift: number): Float32Array {
  const order = Array.from({ length: count }, (_, i) => i);
  shuffle(order, createRandom(seed, count));
  // A third of a step off the middle, so that neither 0 nor the bounds -1 and 1 of the clip case are met.
  return Float32Array.from(order, (i) => ((i + 0.5 + 1 / 3) / count) * 4 - 2 + shift);
}

/** x -> x + op(operands): the batch is the first size of the result. */
function modelOf(test: OpCase): Model {
  const initializers = new Map<string, TensorData>();
  for (const [i, dims] of test.operands.entries())
    initializers.set(`w${i}`, float32Tensor(dims, spreadValues(elementCount(dims), i + 1, test.shift ?? 0)));
  for (const [i, tensor] of (test.fixed ?? []).entries()) initializers.set(`fixed${i}`, tensor);
  const operands = test.operands.map((_, i) => `a${i}`);
  const inputs =
    test.op === 'Mul' && operands.length === 1 ? ['a0', 'a0'] : [...operands, ...(test.fixed ?? []).map((_, i) => `fixed${i}`)];
  const nodes = [
    ...operands.map((name, i) => makeNode('Identity', [`w${i}`], [name])),
    makeNode(test.op, inputs, ['result'], test.attributes),
  ];
  const bare: Model = {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    graph: { name: 'g', nodes, initializers, inputs: [], outputs: [] },
    metadata: {},
  };
  const types = inferShapes(bare);
  const shape = types.get(test.loss === undefined ? 'result' : 'a0')?.shape ?? [];
  // The loss of detectors reads a value of this name.
  const output = typeof test.loss === 'object' && test.loss.kind === 'detection' ? 'raw' : 'y';
  const head =
    test.loss === undefined || test.op !== 'Softmax'
      ? [...nodes, makeNode('Add', ['result', 'x'], [output])]
      : [...nodes.slice(0, -1), makeNode('Add', ['a0', 'x'], ['sum']), makeNode('Softmax', ['sum'], ['y'])];
  return {
    ...bare,
    graph: {
      ...bare.graph,
      nodes: head,
      inputs: [{ name: 'x', type: 'float32', shape }],
      outputs: [{ name: head.at(-1)?.outputs[0] ?? '', type: 'float32', shape }],
    },
  };
}

let session: Session | undefined;
afterEach(async () => {
  await session?.close();
  session = undefined;
});

interface Differentiable {
  readonly weights: Float32Array;
  step(weights: Float32Array): Promise<{ loss: number; gradient: Float32Array }>;
}

/** Plain gradient descent with rate 1 reveals the gradient: it is what the weights lose. */
async function differentiate(test: OpCase): Promise<Differentiable> {
  const model = normalizeModel(modelOf(test));
  const loss = test.loss ?? 'mse';
  const batchSize = Number(modelOf(test).graph.inputs[0]?.shape?.[0]);
  const plan = buildTrainingGraph(model, { loss, optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 }, batchSize });
  const loaded = await openSession(writeModel(plan.model));
  session = loaded;
  const count = slotsLength(plan.weights);
  const weights = new Float32Array(count);
  for (const slot of plan.weights) weights.set((plan.initializers.get(slot.name) as { data: Float32Array }).data, slot.offset);
  const random = createRandom(99);
  const { labels: wanted } = plan;
  const labels: Tensor =
    wanted.type === 'int64'
      ? { type: 'int64', dims: wanted.dims, data: BigInt64Array.from({ length: batchSize }, (_, i) => BigInt(i % (wanted.classes ?? 1))) }
      : float32Tensor(
          wanted.dims,
          Float32Array.from({ length: elementCount(wanted.dims) }, () => (loss === 'mse' ? random.normal() : random.uniform())),
        );
  const statistics = slotsLength(plan.statistics);
  const fixed: Record<string, Tensor> = {
    x: float32Tensor(plan.input.dims, new Float32Array(elementCount(plan.input.dims))),
    [FEED.labels]: labels,
    [feedName('velocity')]: float32Tensor([count], new Float32Array(count)),
    [feedName('rate')]: scalar(1),
    ...(statistics > 0 ? { [FEED.statistics]: float32Tensor([statistics], new Float32Array(statistics)) } : {}),
  };
  for (const { name, dims } of plan.masks)
    fixed[name] = float32Tensor(
      dims,
      Float32Array.from({ length: elementCount(dims) }, () => (random.uniform() < 0.5 ? 0 : 2)),
    );
  return {
    weights,
    step: async (at) => {
      const results = await loaded.run({ ...fixed, [FEED.weights]: float32Tensor([count], at) });
      const after = results[next(FEED.weights)]?.data as Float32Array;
      return { loss: Number(results.loss?.data[0]), gradient: at.map((value, i) => value - (after[i] ?? 0)) };
    },
  };
}

/** float32 losses of about 1 are exact to 1e-7, so this step leaves an error of about 1e-5 in a difference. */
const STEP = 5e-3;

describe('gradients against central finite differences', () => {
  it.each(GRADIENT_CASES.map((test) => [`${test.op}${test.title ? `: ${test.title}` : ''}`, test] as const))('%s', async (_, test) => {
    const { weights, step } = await differentiate(test);
    const { gradient } = await step(weights);
    const scale = Math.max(...gradient.map(Math.abs));
    expect(scale).toBeGreaterThan(0);
    let worst = 0;
    for (let i = 0; i < weights.length; i++) {
      const above = weights.with(i, (weights[i] ?? 0) + STEP);
      const below = weights.with(i, (weights[i] ?? 0) - STEP);
      const numeric = ((await step(above)).loss - (await step(below)).loss) / ((above[i] ?? 0) - (below[i] ?? 0));
      worst = Math.max(worst, Math.abs(numeric - (gradient[i] ?? 0)));
    }
    expect(worst / scale).toBeLessThan(5e-3);
  });

  it('covers every operator that can be trained', () => {
    expect([...new Set(GRADIENT_CASES.map((test) => test.op))].sort()).toEqual(TRAINABLE_OPS);
  });
});
