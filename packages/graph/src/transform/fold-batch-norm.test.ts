import { describe, expect, it } from 'vitest';
import {
  attribute,
  buildNetwork,
  createRandom,
  float32Tensor,
  inspectModel,
  type Model,
  makeNode,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import { foldBatchNormalization, removeDropout } from './index.ts';

/** Every value random and positive, so that running variances are valid. */
function randomized(model: Model): Model {
  const random = createRandom(4);
  const initializers = new Map<string, TensorData>();
  for (const [name, tensor] of model.graph.initializers) {
    initializers.set(
      name,
      tensor.type === 'float32' && tensor.dims.length > 0
        ? float32Tensor(
            tensor.dims,
            tensor.data.map(() => random.uniform() + 0.1),
          )
        : tensor,
    );
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

async function outputs(model: Model): Promise<Float32Array> {
  const session = await openSession(writeModel(model));
  const random = createRandom(8);
  const data = Float32Array.from({ length: 2 * 3 * 36 }, () => random.uniform());
  const result = await session.run({ input: float32Tensor([2, 3, 6, 6], data) });
  await session.close();
  return result[model.graph.outputs[0]!.name]!.data as Float32Array;
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries())
    expect(Math.abs((actual[i] ?? Number.NaN) - value) / (Math.abs(value) + 1)).toBeLessThan(1e-5);
}

describe('foldBatchNormalization', () => {
  it('leaves the outputs as they were', async () => {
    const layers = [{ conv: { filters: 6, kernel: 3, groups: 3 } }, 'batchnorm', 'relu', { dense: 5 }, 'batchnorm', 'classifier'] as const;
    const model = randomized(buildNetwork({ layers, inputShape: [3, 6, 6], classes: 4, seed: 0 }));
    const folded = foldBatchNormalization(model);
    expect(inspectModel(folded).opCounts.BatchNormalization).toBeUndefined();
    expectClose(await outputs(folded), await outputs(model));
  });

  it('takes it into a ConvTranspose with groups', async () => {
    const tensor = (dims: readonly number[]): TensorData => float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
    const constants = { w: [4, 3, 2, 2], b: [6], scale: [6], shift: [6], mean: [6], variance: [6] };
    const model = randomized({
      irVersion: 8,
      producer: 'selvedge',
      opsets: [{ domain: '', version: 17 }],
      graph: {
        name: 'up',
        nodes: [
          makeNode('Conv', ['input', 'first'], ['wide']),
          makeNode('ConvTranspose', ['wide', 'w', 'b'], ['up'], { group: attribute.int(2) }),
          makeNode('BatchNormalization', ['up', 'scale', 'shift', 'mean', 'variance'], ['y']),
        ],
        initializers: new Map(Object.entries({ first: [4, 3, 1, 1], ...constants }).map(([name, dims]) => [name, tensor(dims)])),
        inputs: [{ name: 'input', type: 'float32', shape: ['N', 3, 6, 6] }],
        outputs: [{ name: 'y', type: 'float32', shape: null }],
      },
      metadata: {},
    });
    const folded = foldBatchNormalization(model);
    expect(folded.graph.nodes.map(({ op }) => op)).toEqual(['Conv', 'ConvTranspose']);
    expectClose(await outputs(folded), await outputs(model));
  });

  it('does not touch a layer whose result is used elsewhere too', () => {
    const model = buildNetwork({
      layers: [{ conv: { filters: 2, kernel: 1 } }, 'batchnorm', 'classifier'],
      inputShape: [3, 6, 6],
      classes: 2,
      seed: 0,
    });
    const graph = { ...model.graph, outputs: [...model.graph.outputs, { name: 'conv1', type: 'float32' as const, shape: ['N', 2, 6, 6] }] };
    expect(inspectModel(foldBatchNormalization({ ...model, graph })).opCounts.BatchNormalization).toBe(1);
  });
});

describe('removeDropout', () => {
  it('takes out every dropout, also two in a row and one at the end', async () => {
    const built = buildNetwork({ layers: [{ dropout: 0.5 }, { dropout: 0.2 }, 'classifier'], inputShape: [3, 6, 6], classes: 4, seed: 0 });
    const nodes = [...built.graph.nodes, makeNode('Dropout', ['logits'], ['last'])];
    const model: Model = { ...built, graph: { ...built.graph, nodes, outputs: [{ name: 'last', type: 'float32', shape: ['N', 4] }] } };
    const removed = removeDropout(model);
    expect(inspectModel(removed).opCounts).toEqual({ Flatten: 1, Gemm: 1, Identity: 1 });
    expectClose(await outputs(removed), await outputs(model));
  });
});
