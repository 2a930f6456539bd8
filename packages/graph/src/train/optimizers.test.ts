import { afterEach, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../onnx/graph-builder.ts';
import { attribute, createRandom, float32Tensor, IR_VERSION, inferShapes, type Model, makeNode, OPSET, writeModel } from '../onnx/index.ts';
import { openSession, type Session, type Tensor } from '../session/index.ts';
import { feedName, next } from './feeds.ts';
import { emitOptimizer, type OptimizerSpec, optimizerFrom, optimizerState, stepScalars } from './optimizers.ts';

const LENGTH = 6;
const STEPS = 12;
const RATES = Array.from({ length: STEPS }, (_, i) => 0.05 / (1 + i));

/** One optimiser step alone: gradients are fed. */
function stepModel(spec: OptimizerSpec): Model {
  const graph = new GraphBuilder(new Set());
  const { weights, state } = emitOptimizer(spec, graph, 'w', 'g');
  const vectors = [['w', weights] as const, ...optimizerState(spec).map((name, i) => [feedName(name), state[i] ?? ''] as const)];
  for (const [name, value] of vectors) graph.opInto('Identity', [value], [next(name)]);
  const scalars = Object.keys(stepScalars(spec, 0, 0)).map((name) => ({ name: feedName(name), type: 'float32' as const, shape: [] }));
  const vector = (name: string) => ({ name, type: 'float32' as const, shape: [LENGTH] });
  return {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: 'step',
      nodes: graph.nodes,
      initializers: graph.initializers,
      inputs: [vector('g'), ...vectors.map(([name]) => vector(name)), ...scalars],
      outputs: vectors.map(([name]) => vector(next(name))),
    },
    metadata: {},
  };
}

/** The published formulas, one number at a time, in double precision. */
function reference(spec: OptimizerSpec, start: Float32Array, gradients: readonly Float32Array[]): number[] {
  return Array.from(start, (first, i) => {
    let [w, m, v] = [first, 0, 0];
    gradients.forEach((vector, step) => {
      const lr = RATES[step] ?? 0;
      let g = vector[i] ?? 0;
      if (spec.kind === 'adamw') w -= lr * spec.weightDecay * w;
      else g += spec.weightDecay * w;
      if (spec.kind === 'sgd') {
        v = spec.momentum * v + g;
        w -= lr * v;
        return;
      }
      m = spec.beta1 * m + (1 - spec.beta1) * g;
      v = spec.beta2 * v + (1 - spec.beta2) * g * g;
      const t = step + 1;
      w -= (lr * (m / (1 - spec.beta1 ** t))) / (Math.sqrt(v / (1 - spec.beta2 ** t)) + spec.epsilon);
    });
    return w;
  });
}

let session: Session | undefined;
afterEach(async () => {
  await session?.close();
});

describe('an optimiser step in the graph equals the formula', () => {
  it.each([
    ['sgd', optimizerFrom({ optimizer: 'sgd', momentum: 0 })],
    ['sgd with momentum and decay', optimizerFrom({ optimizer: 'sgd', weight_decay: 0.1 })],
    ['adam', optimizerFrom({})],
    ['adam with decay', optimizerFrom({ optimizer: 'adam', weight_decay: 0.1 })],
    ['adamw', optimizerFrom({ optimizer: 'adamw', weight_decay: 0.2 })],
  ])('%s', async (_, spec) => {
    session = await openSession(writeModel(stepModel(spec)));
    const random = createRandom(3);
    const draw = () => Float32Array.from({ length: LENGTH }, () => random.normal());
    const start = draw();
    const gradients = RATES.map(draw);
    const state: Record<string, Tensor> = { w: float32Tensor([LENGTH], start) };
    for (const name of optimizerState(spec)) state[feedName(name)] = float32Tensor([LENGTH], new Float32Array(LENGTH));
    for (const [step, g] of gradients.entries()) {
      const scalars = Object.entries(stepScalars(spec, RATES[step] ?? 0, step)).map(([name, value]) => [
        feedName(name),
        float32Tensor([], Float32Array.of(value)),
      ]);
      const results = await session.run({ ...state, g: float32Tensor([LENGTH], g), ...Object.fromEntries(scalars) });
      for (const name of Object.keys(state)) state[name] = results[next(name)]!;
    }
    const expected = reference(spec, start, gradients);
    for (const [i, value] of expected.entries()) expect(Number(state.w?.data[i])).toBeCloseTo(value, 5);
  });
});

describe('optimizerFrom', () => {
  it('gives the defaults of the contract', () => {
    expect(optimizerFrom({})).toMatchObject({ kind: 'adam', weightDecay: 0 });
    expect(optimizerFrom({ optimizer: 'adamw' })).toMatchObject({ kind: 'adamw', weightDecay: 0.01 });
    expect(optimizerFrom({ optimizer: 'sgd' })).toEqual({ kind: 'sgd', momentum: 0.9, weightDecay: 0 });
  });
});

describe('GraphBuilder', () => {
  it('never reuses a name that the model has', () => {
    const graph = new GraphBuilder(new Set(['t1.Relu', 't2.Relu']));
    expect(graph.op('Relu', ['x'], { axis: attribute.int(0) })).toBe('t3.Relu');
  });

  it('keeps one copy of equal constants', () => {
    const graph = new GraphBuilder(new Set());
    expect(graph.scalar(0.5)).toBe(graph.scalar(0.5));
    expect(graph.ints([1, 2])).not.toBe(graph.ints([12]));
    expect(
      inferShapes({
        irVersion: 8,
        producer: '',
        opsets: [{ domain: '', version: OPSET }],
        graph: {
          name: '',
          nodes: [makeNode('Relu', [graph.scalar(0.5)], ['y'])],
          initializers: graph.initializers,
          inputs: [],
          outputs: [],
        },
        metadata: {},
      }).get('y')?.shape,
    ).toEqual([]);
  });
});
