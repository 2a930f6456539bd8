import {
  type Attributes,
  createRandom,
  type Dim,
  elementCount,
  float32Tensor,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  type TensorData,
} from '@selvedge/graph/onnx';

/** A small model and how near the engine's results must come to ONNX Runtime's. */
export interface ModelCase {
  readonly name: string;
  readonly model: Model;
  /** Default fp32. */
  readonly precision?: 'fp16';
  /** Largest difference, relative to the largest value of the output (and at least 1); default 1e-4. */
  readonly tolerance?: number;
  /** One step of the quantised outputs: the results may then differ by two of them. */
  readonly step?: number;
  /** Values of the inputs lie between these; default -1..1 by a normal distribution. */
  readonly range?: readonly [number, number];
}

/** Normal values from a seed that the shape and `salt` make. */
export function noise(dims: readonly number[], salt = 0, scale = 0.5): TensorData {
  const random = createRandom(salt, ...dims);
  return float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => random.normal() * scale),
  );
}

/** Values between `low` and `high`. */
export function spread(dims: readonly number[], low: number, high: number, salt = 0): TensorData {
  const random = createRandom(salt, ...dims);
  return float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => low + random.uniform() * (high - low)),
  );
}

export const scalar = (value: number): TensorData => float32Tensor([], Float32Array.of(value));
export const floats = (...values: number[]): TensorData => float32Tensor([values.length], Float32Array.from(values));
export const ints = (...values: number[]): TensorData => int64Tensor(values);

export interface Parts {
  readonly inputs: Readonly<Record<string, readonly Dim[]>>;
  readonly nodes: readonly Node[];
  readonly constants?: Readonly<Record<string, TensorData>>;
  readonly outputs?: readonly string[];
  readonly opset?: number;
}

export function modelOf({ inputs, nodes, constants = {}, outputs = ['y'], opset = 17 }: Parts): Model {
  return {
    irVersion: 8,
    producer: 'test',
    opsets: [{ domain: '', version: opset }],
    graph: {
      name: 'case',
      nodes,
      initializers: new Map(Object.entries(constants)),
      inputs: Object.entries(inputs).map(([name, shape]) => ({ name, type: 'float32', shape })),
      outputs: outputs.map((name) => ({ name, type: 'float32', shape: null })),
    },
    metadata: {},
  };
}

/** One node on the input "x"; further operands are constants, null leaves one out. */
export function single(
  op: string,
  x: readonly Dim[],
  operands: readonly (TensorData | null)[] = [],
  attributes: Attributes = {},
  opset = 17,
): Model {
  const names = operands.map((operand, i) => (operand ? `c${i}` : ''));
  return modelOf({
    inputs: { x },
    nodes: [makeNode(op, ['x', ...names], ['y'], attributes)],
    constants: Object.fromEntries(operands.flatMap((operand, i) => (operand ? [[`c${i}`, operand]] : []))),
    opset,
  });
}

/** A chain of nodes: each takes the result of the one before and constants of its own. */
export function chain(
  x: readonly Dim[],
  steps: readonly (readonly [op: string, operands?: readonly (TensorData | null)[], attributes?: Attributes])[],
  opset = 17,
): Model {
  const constants: Record<string, TensorData> = {};
  const nodes = steps.map(([op, operands = [], attributes = {}], at) => {
    const names = operands.map((operand, i) => {
      if (operand) constants[`c${at}_${i}`] = operand;
      return operand ? `c${at}_${i}` : '';
    });
    const from = at === 0 ? 'x' : `t${at - 1}`;
    return makeNode(op, [from, ...names], [at === steps.length - 1 ? 'y' : `t${at}`], attributes, `n${at}`);
  });
  return modelOf({ inputs: { x }, nodes, constants, opset });
}
