import {
  createRandom,
  elementCount,
  float32Tensor,
  IR_VERSION,
  type Model,
  type Node,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import type { Feeds } from './calibrate.ts';

/** Normally distributed values; the same seed gives the same. */
export function seeded(seed: number, dims: readonly number[], deviation = 1): TensorData {
  const random = createRandom(seed);
  return float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => deviation * random.normal()),
  );
}

export interface SeededModel {
  readonly nodes: readonly Node[];
  readonly constants?: Readonly<Record<string, TensorData>>;
  /** Shape of the input "x". */
  readonly dims: readonly number[];
  /** Default: "y". */
  readonly outputs?: readonly string[];
  /** Default 17. */
  readonly opset?: number;
}

/** A model with the input "x", for tests. */
export function seededModel({ nodes, constants = {}, dims, outputs = ['y'], opset = 17 }: SeededModel): Model {
  return {
    irVersion: IR_VERSION,
    producer: 'selvedge',
    opsets: [{ domain: '', version: opset }],
    graph: {
      name: 'seeded',
      nodes,
      initializers: new Map(Object.entries(constants)),
      inputs: [{ name: 'x', type: 'float32', shape: dims }],
      outputs: outputs.map((name) => ({ name, type: 'float32', shape: null })),
    },
    metadata: {},
  };
}

/** Batches of one tensor "x" each. */
export function seededBatches(dims: readonly number[], count: number, seed = 100): Feeds[] {
  return Array.from({ length: count }, (_, i) => ({ x: seeded(seed + i, dims) }));
}

/** Runs a model once. */
export async function runOnce(model: Model, feeds: Feeds): Promise<Record<string, TensorData>> {
  const session = await openSession(writeModel(model));
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}
