import { type Attributes, attribute, type Model, makeNode, type Node, type TensorData } from '@selvedge/graph/onnx';
import { ints, type ModelCase, modelOf, noise, scalar } from './model-case.ts';

const { int, ints: list, string, float } = attribute;

/** Scale and zero point of a tensor. */
type Quant = readonly [scale: number, zeroPoint: number];

/** A value of a quantised model: what is between DequantizeLinear and QuantizeLinear. */
interface Value {
  readonly name: string;
  readonly quant: Quant;
}

/** Writes models as quantisers do: QuantizeLinear and DequantizeLinear behind every operator, weights and biases dequantised. */
class QuantisedModel {
  private readonly nodes: Node[] = [];
  private readonly constants: Record<string, TensorData> = {};
  private readonly inputs: Record<string, readonly number[]> = {};
  private count = 0;
  private readonly unsigned: boolean;

  constructor(unsigned = false) {
    this.unsigned = unsigned;
  }

  private fresh(prefix: string): string {
    this.count++;
    return `${prefix}${this.count}`;
  }

  constant(tensor: TensorData): string {
    const name = this.fresh('c');
    this.constants[name] = tensor;
    return name;
  }

  private zero(point: number): string {
    const data = this.unsigned ? Uint8Array.of(point + 128) : Int8Array.of(point);
    return this.constant(data instanceof Uint8Array ? { type: 'uint8', dims: [], data } : { type: 'int8', dims: [], data });
  }

  /** QuantizeLinear and DequantizeLinear behind a value. */
  rounded(name: string, quant: Quant): Value {
    const [scale, zero] = [this.constant(scalar(quant[0])), this.zero(quant[1])];
    const [stored, real] = [this.fresh('q'), this.fresh('v')];
    this.nodes.push(makeNode('QuantizeLinear', [name, scale, zero], [stored]));
    this.nodes.push(makeNode('DequantizeLinear', [stored, scale, zero], [real]));
    return { name: real, quant };
  }

  input(name: string, shape: readonly number[], quant: Quant = [0.03, 3]): Value {
    this.inputs[name] = shape;
    return this.rounded(name, quant);
  }

  /** Weights with one scale per entry of `axis`. */
  weights(dims: readonly number[], axis: number, salt = 0): { name: string; scales: Float32Array } {
    const values = noise(dims, salt);
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const scales = Float32Array.from({ length: dims[axis] ?? 1 }, (_, i) => 0.008 + 0.001 * (i % 5));
    const data = Int8Array.from(values.data as Float32Array, (value, i) => {
      const steps = Math.round(value / (scales[Math.floor(i / inner) % scales.length] ?? 1));
      return Math.max(-127, Math.min(127, steps));
    });
    const stored = this.constant({ type: 'int8', dims, data });
    const scale = this.constant({ type: 'float32', dims: [scales.length], data: scales });
    const zero = this.constant({ type: 'int8', dims: [scales.length], data: new Int8Array(scales.length) });
    const name = this.fresh('w');
    this.nodes.push(makeNode('DequantizeLinear', [stored, scale, zero], [name], { axis: int(axis) }));
    return { name, scales };
  }

  bias(count: number, x: Value, scales: Float32Array): string {
    const stored = Int32Array.from({ length: count }, (_, i) => ((i * 37) % 200) - 100);
    const scale = Float32Array.from({ length: count }, (_, i) => x.quant[0] * (scales[i % scales.length] ?? 1));
    const name = this.fresh('b');
    const operands = [
      this.constant({ type: 'int32', dims: [count], data: stored }),
      this.constant({ type: 'float32', dims: [count], data: scale }),
      this.constant({ type: 'int32', dims: [count], data: new Int32Array(count) }),
    ];
    this.nodes.push(makeNode('DequantizeLinear', operands, [name], { axis: int(0) }));
    return name;
  }

  /** A node on real values, without anything behind it. */
  plain(op: string, operands: readonly (Value | string)[], attributes: Attributes = {}): string {
    const name = this.fresh('t');
    const names = operands.map((operand) => (typeof operand === 'string' ? operand : operand.name));
    this.nodes.push(makeNode(op, names, [name], attributes));
    return name;
  }

  node(op: string, operands: readonly (Value | string)[], quant: Quant, attributes: Attributes = {}): Value {
    return this.rounded(this.plain(op, operands, attributes), quant);
  }

  model(output: string, opset = 17): Model {
    this.nodes.push(makeNode('Identity', [output], ['y']));
    return modelOf({ inputs: this.inputs, nodes: this.nodes, constants: this.constants, opset });
  }
}

/** A case whose model ends in a quantised value. */
function quantised(name: string, build: (model: QuantisedModel) => Value, options: { unsigned?: boolean; opset?: number } = {}): ModelCase {
  const model = new QuantisedModel(options.unsigned);
  const y = build(model);
  return { name: `int8 ${name}`, model: model.model(y.name, options.opset), step: y.quant[0] };
}

const OUT: Quant = [0.05, -7];

function weighted(op: string, x: readonly number[], weights: readonly number[], axis: number, attributes: Attributes, outputs?: number) {
  return (model: QuantisedModel): Value => {
    const input = model.input('x', x);
    const { name, scales } = model.weights(weights, axis);
    const count = outputs ?? weights[axis] ?? 1;
    return model.node(op, [input, name, model.bias(count, input, scales)], OUT, attributes);
  };
}

const one =
  (op: string, attributes: Attributes = {}, quant: Quant = OUT) =>
  (model: QuantisedModel) =>
    model.node(op, [model.input('x', [1, 5, 6, 4])], quant, attributes);

const both =
  (op: string, quant: Quant = OUT) =>
  (model: QuantisedModel) =>
    model.node(op, [model.input('x', [1, 5, 6, 4]), model.input('z', [1, 5, 6, 4], [0.02, -20])], quant);

const SAME: Quant = [0.03, 3];

export const INT8_CASES: readonly ModelCase[] = [
  quantised('Conv', weighted('Conv', [1, 3, 8, 9], [6, 3, 3, 3], 0, { pads: list([1, 1, 1, 1]), strides: list([2, 1]) })),
  quantised('Conv of uint8', weighted('Conv', [1, 3, 8, 9], [6, 3, 3, 3], 0, { pads: list([1, 1, 1, 1]) }), { unsigned: true }),
  quantised('Conv groups', weighted('Conv', [1, 6, 8, 9], [8, 3, 3, 3], 0, { group: int(2) })),
  quantised('Conv depthwise', weighted('Conv', [1, 9, 8, 9], [9, 1, 3, 3], 0, { group: int(9), pads: list([1, 1, 1, 1]) })),
  quantised('Conv depthwise multiplier', weighted('Conv', [1, 4, 8, 9], [8, 1, 3, 3], 0, { group: int(4) })),
  quantised('ConvTranspose', weighted('ConvTranspose', [1, 4, 5, 6], [4, 3, 3, 3], 1, { strides: list([2, 2]), pads: list([1, 1, 1, 1]) })),
  quantised('Gemm', weighted('Gemm', [3, 12], [7, 12], 0, { transB: int(1) })),
  quantised('Gemm [K, N]', weighted('Gemm', [3, 12], [12, 7], 1, {})),
  quantised('MatMul', (model) => model.node('MatMul', [model.input('x', [2, 3, 12]), model.weights([12, 7], 1).name], OUT)),
  quantised('Conv, Relu', (model) => {
    const x = model.input('x', [1, 3, 8, 9]);
    const { name, scales } = model.weights([6, 3, 3, 3], 0);
    return model.node('Relu', [model.plain('Conv', [x, name, model.bias(6, x, scales)])], [0.02, -128]);
  }),
  quantised('Conv, Clip, Flatten, Gemm', (model) => {
    const x = model.input('x', [1, 3, 6, 5]);
    const w = model.weights([4, 3, 3, 3], 0);
    const clipped = model.plain('Clip', [
      model.plain('Conv', [x, w.name, model.bias(4, x, w.scales)]),
      model.constant(scalar(0)),
      model.constant(scalar(6)),
    ]);
    const a = model.rounded(clipped, [6 / 255, -128]);
    const flat = model.node('Flatten', [a], a.quant);
    const v = model.weights([5, 48], 0, 1);
    return model.node('Gemm', [flat, v.name, model.bias(5, flat, v.scales)], OUT, { transB: int(1) });
  }),
  quantised('Add', both('Add')),
  quantised('Sub', both('Sub')),
  quantised('Mul', both('Mul', [0.02, 5])),
  quantised('Add, Relu', (model) =>
    model.node('Relu', [model.plain('Add', [model.input('x', [1, 5, 6, 4]), model.input('z', [1, 5, 6, 4], [0.02, -20])])], [0.025, -128]),
  ),
  quantised('Mul of a float constant', (model) =>
    model.node('Mul', [model.input('x', [1, 5, 6, 4]), model.constant(noise([5, 1, 1]))], OUT),
  ),
  quantised('Add of far scales', (model) =>
    model.node('Add', [model.input('x', [1, 5, 6, 4], [0.03, 0]), model.input('z', [1, 5, 6, 4], [1e-6, 0])], OUT),
  ),
  quantised('Sigmoid', one('Sigmoid', {}, [1 / 256, -128])),
  quantised('Tanh', one('Tanh', {}, [1 / 127, 0])),
  quantised('HardSwish', one('HardSwish')),
  quantised('LeakyRelu', one('LeakyRelu', { alpha: float(0.1) })),
  quantised('SiLU', (model) => {
    const x = model.input('x', [1, 5, 6, 4]);
    return model.node('Mul', [x, model.node('Sigmoid', [x], [1 / 256, -128])], [0.025, -110]);
  }),
  quantised('MaxPool', one('MaxPool', { kernel_shape: list([2, 2]), strides: list([2, 2]) }, SAME)),
  quantised('MaxPool, other scale', one('MaxPool', { kernel_shape: list([3, 3]), pads: list([1, 1, 1, 1]) })),
  quantised('AveragePool', one('AveragePool', { kernel_shape: list([2, 2]), strides: list([2, 2]) })),
  quantised('GlobalAveragePool', one('GlobalAveragePool', {}, [0.01, 2])),
  quantised('ReduceMean', one('ReduceMean', { axes: list([1]) }, [0.01, 2])),
  quantised('Concat', (model) =>
    model.node('Concat', [model.input('x', [1, 5, 6, 4]), model.input('z', [1, 3, 6, 4])], SAME, { axis: int(1) }),
  ),
  quantised('Concat of two scales', (model) =>
    model.node('Concat', [model.input('x', [1, 5, 6, 4]), model.input('z', [1, 3, 6, 4], [0.02, -20])], OUT, { axis: int(1) }),
  ),
  quantised('Resize nearest', (model) =>
    model.node(
      'Resize',
      [model.input('x', [1, 5, 6, 4]), '', model.constant({ type: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) })],
      SAME,
    ),
  ),
  quantised('Resize linear', (model) =>
    model.node(
      'Resize',
      [model.input('x', [1, 5, 6, 4]), '', model.constant({ type: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) })],
      SAME,
      { mode: string('linear') },
    ),
  ),
  quantised('Transpose, Reshape', (model) => {
    const turned = model.node('Transpose', [model.input('x', [1, 5, 6, 4])], SAME, { perm: list([0, 2, 3, 1]) });
    return model.node('Reshape', [turned, model.constant(ints(6, 20))], SAME);
  }),
  quantised('Slice, Pad', (model) => {
    const part = model.node(
      'Slice',
      [model.input('x', [1, 5, 6, 4]), model.constant(ints(1)), model.constant(ints(4)), model.constant(ints(1))],
      SAME,
    );
    return model.node('Pad', [part, model.constant(ints(0, 0, 1, 2, 0, 0, 0, 1))], SAME);
  }),
  quantised('an operator without partners', (model) => {
    const w = model.weights([6, 5, 1, 1], 0);
    const conv = model.plain('Exp', [model.plain('Conv', [model.input('x', [1, 5, 6, 4]), w.name])]);
    return model.rounded(conv, [0.1, -128]);
  }),
  {
    name: 'int8 Gemm, then Softmax in float',
    model: (() => {
      const model = new QuantisedModel();
      const y = weighted('Gemm', [3, 12], [7, 12], 0, { transB: int(1) })(model);
      return model.model(model.plain('Softmax', [y]));
    })(),
    tolerance: 0.02,
  },
];
