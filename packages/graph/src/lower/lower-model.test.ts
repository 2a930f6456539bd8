import { describe, expect, it } from 'vitest';
import {
  type Attributes,
  attribute,
  buildNetwork,
  createRandom,
  type Dim,
  elementCount,
  float32Tensor,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  type TensorData,
} from '../onnx/index.ts';
import type { IrGraph, IrOp } from './ir.ts';
import { LOWERED_OPS, lowerModel } from './lower-model.ts';

const { int, ints, float } = attribute;

function noise(...dims: number[]): TensorData {
  const random = createRandom(...dims);
  return float32Tensor(
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => random.normal()),
  );
}
const scalar = (value: number) => float32Tensor([], Float32Array.of(value));
const zeros = (...dims: number[]) => float32Tensor(dims, new Float32Array(elementCount(dims)));
const ones = (...dims: number[]) => float32Tensor(dims, new Float32Array(elementCount(dims)).fill(1));

function model(x: readonly Dim[], nodes: readonly Node[], constants: Record<string, TensorData> = {}, outputs = ['y']): Model {
  return {
    irVersion: 8,
    producer: 'test',
    opsets: [{ domain: '', version: 17 }],
    graph: {
      name: 'g',
      nodes,
      initializers: new Map(Object.entries(constants)),
      inputs: [{ name: 'x', type: 'float32', shape: x }],
      outputs: outputs.map((name) => ({ name, type: 'float32', shape: null })),
    },
    metadata: {},
  };
}

type Step = readonly [op: string, operands?: readonly TensorData[], attributes?: Attributes];

function chain(x: readonly Dim[], ...steps: Step[]): Model {
  const constants: Record<string, TensorData> = {};
  const nodes = steps.map(([op, operands = [], attributes = {}], at) => {
    const names = operands.map((operand, i) => {
      constants[`c${at}${i}`] = operand;
      return `c${at}${i}`;
    });
    const output = at === steps.length - 1 ? 'y' : `t${at}`;
    return makeNode(op, [at === 0 ? 'x' : `t${at - 1}`, ...names], [output], attributes, `n${at}`);
  });
  return model(x, nodes, constants);
}

function graphOf(one: Model): IrGraph {
  const lowered = lowerModel(one);
  return 'graph' in lowered ? lowered.graph : expect.fail(JSON.stringify(lowered.unsupported));
}

function unsupportedOf(one: Model) {
  const lowered = lowerModel(one);
  return 'unsupported' in lowered ? lowered.unsupported : expect.fail('the model was lowered');
}

/** Operations in short: the operator where there is one. */
const opsOf = (one: Model): string[] => graphOf(one).ops.map((op) => ('operator' in op ? op.operator : op.op));

function onlyOp<K extends IrOp['op']>(graph: IrGraph, kind: K): IrOp & { op: K } {
  const found = graph.ops.filter((op): op is IrOp & { op: K } => op.op === kind);
  const [first] = found;
  return first && found.length === 1 ? first : expect.fail(`${found.length} operations ${kind}`);
}

function floatsOf(graph: IrGraph, id: number): number[] {
  const constant = graph.values[id]?.constant;
  return constant?.type === 'float32' ? [...constant.values] : expect.fail('no float32 constant');
}

const batchNorm = (scale: number[], bias: number[], mean: number[], variance: number[]): TensorData[] =>
  [scale, bias, mean, variance].map((values) => float32Tensor([values.length], Float32Array.from(values)));

describe('folding', () => {
  it('takes batch normalisation and activation into a convolution', () => {
    const graph = graphOf(
      chain(
        [1, 1, 4, 4],
        ['Conv', [ones(2, 1, 1, 1), float32Tensor([2], Float32Array.of(1, 2))]],
        ['BatchNormalization', batchNorm([4, 6], [1, 0], [0, 2], [4, 9]), { epsilon: float(0) }],
        ['Relu'],
      ),
    );
    const conv = onlyOp(graph, 'conv2d');
    expect(graph.ops).toHaveLength(1);
    expect(floatsOf(graph, conv.weights)).toEqual([2, 2]);
    expect(floatsOf(graph, conv.bias)).toEqual([3, 0]);
    expect(conv.bounds).toEqual({ min: 0, max: Infinity });
  });

  it('computes batch normalisation as a product and a sum where nothing precedes it', () => {
    expect(opsOf(chain([1, 2, 4, 4], ['BatchNormalization', batchNorm([1, 2], [0, 1], [0, 0], [1, 1])], ['Relu']))).toEqual([
      'multiply',
      'add',
    ]);
  });

  it('leaves a convolution alone whose result somebody else needs', () => {
    const nodes = [makeNode('Conv', ['x', 'w'], ['a']), makeNode('Relu', ['a'], ['b']), makeNode('Add', ['a', 'b'], ['y'])];
    expect(opsOf(model([1, 1, 4, 4], nodes, { w: ones(2, 1, 1, 1) }))).toEqual(['conv2d', 'clamp', 'add']);
  });

  it('works shape arithmetic out, and drops what changes nothing', () => {
    const nodes = [
      makeNode('Identity', ['x'], ['i']),
      makeNode('Dropout', ['i'], ['d']),
      makeNode('Shape', ['d'], ['s']),
      makeNode('Gather', ['s', 'zero'], ['n']),
      makeNode('Unsqueeze', ['n', 'zeros'], ['n1']),
      makeNode('Concat', ['n1', 'rest'], ['t'], { axis: int(0) }),
      makeNode('Reshape', ['d', 't'], ['r']),
      makeNode('Cast', ['r'], ['c'], { to: int(1) }),
      makeNode('Gemm', ['c', 'w'], ['y']),
    ];
    const constants = { zero: int64Tensor([0], []), zeros: int64Tensor([0]), rest: int64Tensor([-1]), w: noise(12, 5) };
    expect(opsOf(model(['N', 3, 2, 2], nodes, constants))).toEqual(['reshape', 'fullyConnected']);
  });

  it('gives the zeros of a Pad to the convolution', () => {
    const graph = graphOf(
      chain([1, 1, 4, 4], ['Pad', [int64Tensor([0, 0, 1, 2, 0, 0, 3, 4])]], ['Conv', [noise(2, 1, 3, 3)], { pads: ints([1, 1, 1, 1]) }]),
    );
    expect(graph.ops).toHaveLength(1);
    expect(onlyOp(graph, 'conv2d').window.pads).toEqual([2, 5, 4, 3]);
  });

  it('keeps a Pad by other values', () => {
    expect(opsOf(chain([1, 1, 4, 4], ['Pad', [int64Tensor([0, 0, 1, 1, 0, 0, 1, 1]), scalar(1)]], ['Conv', [noise(2, 1, 3, 3)]]))).toEqual([
      'pad',
      'conv2d',
    ]);
  });

  it('joins a MatMul and the sum behind it', () => {
    expect(opsOf(chain([1, 6], ['MatMul', [noise(6, 5)]], ['Add', [noise(5)]], ['Relu']))).toEqual(['fullyConnected']);
  });

  it('clips twice as once', () => {
    const graph = graphOf(chain([1, 2, 3, 3], ['Conv', [noise(2, 2, 1, 1)]], ['Clip', [scalar(-1), scalar(6)]], ['Relu']));
    expect(onlyOp(graph, 'conv2d').bounds).toEqual({ min: 0, max: 6 });
  });
});

describe('layout', () => {
  it('moves no data in a network of convolutions', () => {
    const network = buildNetwork({ layers: 'small-cnn', inputShape: [3, 16, 16], classes: 5, seed: 1 });
    const graph = graphOf(network);
    expect(graph.ops.some((op) => op.op === 'transpose')).toBe(false);
    expect(graph.inputs).toEqual([{ name: 'input', shape: [1, 3, 16, 16], order: 'nhwc', value: 0 }]);
    expect(graph.outputs).toEqual([{ name: 'logits', shape: [1, 5], order: 'asShape', value: 1 }]);
  });

  it('puts weights into the order that a flattened picture lies in', () => {
    const weights = float32Tensor([4, 1], Float32Array.of(1, 2, 3, 4));
    const graph = graphOf(chain([1, 2, 1, 2], ['Flatten'], ['Gemm', [weights]]));
    expect(floatsOf(graph, onlyOp(graph, 'fullyConnected').weights)).toEqual([1, 3, 2, 4]);
  });

  it('lets transposes cancel', () => {
    const there = { perm: ints([0, 2, 3, 1]) };
    const back = { perm: ints([0, 3, 1, 2]) };
    expect(opsOf(chain([1, 3, 4, 5], ['Transpose', [], there], ['Sigmoid'], ['Transpose', [], back]))).toEqual(['sigmoid']);
  });

  it('remaps axes to where the dimensions lie', () => {
    const nodes = [makeNode('Sigmoid', ['x'], ['a']), makeNode('Concat', ['x', 'a'], ['y'], { axis: int(1) })];
    expect(onlyOp(graphOf(model([1, 3, 4, 5], nodes)), 'concat').axis).toBe(3);
    expect(onlyOp(graphOf(chain([1, 3, 4, 5], ['ReduceMean', [], { axes: ints([2, 3]) }])), 'reduce').axes).toEqual([1, 2]);
  });

  it('puts constants per channel where the channels lie', () => {
    const graph = graphOf(chain([1, 3, 4, 5], ['Mul', [noise(3, 1, 1)]]));
    expect(graph.values[onlyOp(graph, 'binary').b]?.dims).toEqual([3]);
  });

  it('shuffles channels with one transpose', () => {
    const shuffle = chain(
      [1, 6, 4, 5],
      ['Reshape', [int64Tensor([1, 2, 3, 4, 5])]],
      ['Transpose', [], { perm: ints([0, 2, 1, 3, 4]) }],
      ['Reshape', [int64Tensor([1, 6, 4, 5])]],
      ['Conv', [noise(3, 6, 1, 1)]],
    );
    expect(graphOf(shuffle).ops.filter((op) => op.op === 'transpose')).toMatchObject([{ perm: [0, 2, 1] }]);
  });

  it('gives pictures that lie as their shape says away like that, and others in the order N, H, W, C', () => {
    expect(graphOf(chain([1, 6, 4, 5], ['Relu'])).outputs[0]?.order).toBe('nhwc');
    expect(graphOf(chain([6, 20], ['Reshape', [int64Tensor([1, 6, 4, 5])]])).outputs[0]?.order).toBe('asShape');
  });
});

describe('patterns', () => {
  const gelu = (half: 'before' | 'after'): Model => {
    const nodes = [
      makeNode('Mul', ['x', 'root'], ['d']),
      makeNode('Erf', ['d'], ['e']),
      makeNode('Add', ['one', 'e'], ['a']),
      ...(half === 'before'
        ? [makeNode('Mul', ['half', 'x'], ['h']), makeNode('Mul', ['h', 'a'], ['y'])]
        : [makeNode('Mul', ['x', 'a'], ['m']), makeNode('Mul', ['m', 'half'], ['y'])]),
    ];
    return model([1, 4, 6], nodes, { root: scalar(Math.SQRT1_2), one: scalar(1), half: scalar(0.5) });
  };

  it.each(['before', 'after'] as const)('knows Gelu with the half %s', (half) => {
    expect(opsOf(gelu(half))).toEqual(['gelu']);
  });

  it('does not take another function for Gelu', () => {
    const other = gelu('after');
    const constants = new Map(other.graph.initializers).set('half', scalar(0.25));
    expect(unsupportedOf({ ...other, graph: { ...other.graph, initializers: constants } })).toEqual([
      { node: 'e', op: 'Erf', reason: 'the operator is not supported' },
    ]);
  });

  it('knows HardSwish', () => {
    const constants = { three: scalar(3), zero: scalar(0), six: scalar(6), sixth: scalar(1 / 6) };
    const clip = [makeNode('Add', ['x', 'three'], ['a']), makeNode('Clip', ['a', 'zero', 'six'], ['c'])];
    const late = [...clip, makeNode('Mul', ['c', 'x'], ['m']), makeNode('Mul', ['m', 'sixth'], ['y'])];
    const early = [...clip, makeNode('Div', ['c', 'six'], ['d']), makeNode('Mul', ['x', 'd'], ['y'])];
    for (const nodes of [late, early]) expect(opsOf(model([1, 4, 6], nodes, constants))).toEqual(['hardSwish']);
  });

  it('knows LayerNormalization with scale and shift', () => {
    const nodes = [
      makeNode('ReduceMean', ['x'], ['m'], { axes: ints([-1]) }),
      makeNode('Sub', ['x', 'm'], ['d']),
      makeNode('Mul', ['d', 'd'], ['p']),
      makeNode('ReduceMean', ['p'], ['v'], { axes: ints([-1]) }),
      makeNode('Add', ['v', 'eps'], ['e']),
      makeNode('Sqrt', ['e'], ['s']),
      makeNode('Div', ['d', 's'], ['n']),
      makeNode('Mul', ['n', 'g'], ['w']),
      makeNode('Add', ['w', 'b'], ['y']),
    ];
    const ops = opsOf(model([1, 4, 6], nodes, { eps: scalar(1e-5), g: noise(6), b: noise(6) }));
    expect(ops).toContain('reciprocalSquareRoot');
    expect(ops).not.toContain('divide');
  });
});

describe('int8', () => {
  const quantised = (weightScale: number, outputScale: number): Model => {
    const nodes = [
      makeNode('QuantizeLinear', ['x', 'xs', 'xz'], ['xq']),
      makeNode('DequantizeLinear', ['xq', 'xs', 'xz'], ['xd']),
      makeNode('DequantizeLinear', ['w', 'ws', 'wz'], ['wd'], { axis: int(0) }),
      makeNode('Conv', ['xd', 'wd'], ['c']),
      makeNode('Relu', ['c'], ['r']),
      makeNode('QuantizeLinear', ['r', 'ys', 'yz'], ['yq']),
      makeNode('DequantizeLinear', ['yq', 'ys', 'yz'], ['y']),
    ];
    const byte = (value: number): TensorData => ({ type: 'int8', dims: [], data: Int8Array.of(value) });
    return model([1, 3, 4, 4], nodes, {
      xs: scalar(0.5),
      xz: byte(3),
      w: { type: 'int8', dims: [2, 3, 1, 1], data: Int8Array.of(1, 2, 3, 4, 5, 6) },
      ws: float32Tensor([2], Float32Array.of(weightScale, weightScale)),
      wz: { type: 'int8', dims: [2], data: new Int8Array(2) },
      ys: scalar(outputScale),
      yz: byte(-128),
    });
  };

  it('computes an operator between DequantizeLinear and QuantizeLinear in int8, with its activation', () => {
    const graph = graphOf(quantised(0.25, 0.75));
    expect(graph.ops.map((op) => ('operator' in op ? op.operator : op.op))).toEqual(['convert', 'conv2d', 'convert']);
    const conv = onlyOp(graph, 'conv2d');
    expect(conv.bounds.min).toBe(0);
    expect(graph.values[conv.x]?.quant).toEqual({ scale: 0.5, zeroPoint: 3 });
    expect(graph.values[conv.y]?.quant).toEqual({ scale: 0.75, zeroPoint: -128 });
    expect(graph.values[conv.weights]?.constant).toEqual({
      type: 'qcint8',
      values: Int8Array.of(1, 2, 3, 4, 5, 6),
      scales: Float32Array.of(0.25, 0.25),
      channelAxis: 0,
    });
    expect(graph.values[conv.bias]?.constant).toMatchObject({ type: 'qcint32', scales: Float32Array.of(0.125, 0.125) });
  });

  it('computes in float what the kernels cannot rescale', () => {
    const graph = graphOf(quantised(2 ** 10, 2));
    expect(graph.values[onlyOp(graph, 'conv2d').weights]?.type).toBe('float32');
  });
});

describe('what is not supported', () => {
  it('names every node, its operator and the reason', () => {
    const nodes = [
      makeNode('Erf', ['x'], ['a'], {}, 'first'),
      makeNode('NonZero', ['a'], ['b'], {}, 'second'),
      makeNode('Relu', ['b'], ['c']),
      makeNode('Pad', ['x', 'pads'], ['d'], { mode: attribute.string('reflect') }, 'third'),
      { ...makeNode('Relu', ['x'], ['e'], {}, 'fourth'), domain: 'com.example' },
    ];
    const found = unsupportedOf(model([1, 3, 4, 4], nodes, { pads: int64Tensor([0, 0, 1, 1, 0, 0, 1, 1]) }, ['c', 'd', 'e']));
    expect(found.map(({ node, op }) => [node, op])).toEqual(
      expect.arrayContaining([
        ['first', 'Erf'],
        ['second', 'NonZero'],
        ['third', 'Pad'],
        ['fourth', 'Relu'],
      ]),
    );
    expect(found).toHaveLength(4);
    expect(found.find(({ node }) => node === 'third')?.reason).toBe('the mode "reflect"');
  });

  it('does not mind nodes that no output needs', () => {
    const nodes = [makeNode('Erf', ['x'], ['a']), makeNode('Relu', ['x'], ['y'])];
    expect(opsOf(model([1, 3], nodes))).toEqual(['clamp']);
  });

  it.each<[string, readonly Dim[]]>([
    ['an open dimension that is not the batch', [1, 3, 'height', 'width']],
    ['an open last dimension', ['N', null]],
  ])('refuses %s', (_, shape) => {
    expect(unsupportedOf(chain(shape, ['Relu']))).toEqual([{ node: 'x', op: 'Input', reason: 'a dimension other than the batch is open' }]);
  });

  it('refuses inputs that are not float32', () => {
    const one = chain([1, 3], ['Relu']);
    const inputs = one.graph.inputs.map((input) => ({ ...input, type: 'int8' as const }));
    expect(unsupportedOf({ ...one, graph: { ...one.graph, inputs } })[0]).toMatchObject({ node: 'x', op: 'Input' });
  });

  it('refuses tensors that no engine can address, and does not make them itself', () => {
    const nodes = [makeNode('ConstantOfShape', ['size'], ['a']), makeNode('Add', ['x', 'a'], ['y'])];
    expect(unsupportedOf(model([1, 1], nodes, { size: int64Tensor([2 ** 20, 2 ** 20]) }))[0]).toMatchObject({ op: 'ConstantOfShape' });
    const many = chain([1, 2], ['Reshape', [int64Tensor([1, 1, 2, 1, 1, 1, 1, 1])]]);
    expect(unsupportedOf(many)).toEqual([{ node: 'x', op: 'Tensor', reason: 'more than 6 dimensions' }]);
  });

  it('lists the operators that it knows', () => {
    expect(LOWERED_OPS).toEqual([...LOWERED_OPS].sort());
    expect(LOWERED_OPS).toContain('Conv');
  });
});

it('gives the same graph for the same model', () => {
  const one = chain(
    [1, 3, 4, 4],
    ['Conv', [noise(2, 3, 3, 3)]],
    ['Sigmoid'],
    ['GlobalAveragePool'],
    ['Flatten'],
    ['Gemm', [noise(2, 4), zeros(4)]],
  );
  expect(graphOf(one)).toEqual(graphOf(one));
});
