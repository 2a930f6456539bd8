import type { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import {
  type Attributes,
  attribute,
  float32Tensor,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  readModel,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { calibrate, type Feeds, type QuantisedModel, type QuantiseOptions, quantiseModel } from './index.ts';
import { runOnce, seeded, seededBatches, seededModel } from './seeded-model.ts';

const DIMS = [1, 4, 6, 6];
const { int, ints, float, string } = attribute;

async function quantised(
  model: Model,
  options: QuantiseOptions = {},
  batches: readonly Feeds[] = seededBatches(DIMS, 4),
): Promise<QuantisedModel> {
  return quantiseModel(model, await calibrate(model, batches, { method: 'minmax' }), options);
}

/** Scale and zero point behind a DequantizeLinear or before a QuantizeLinear; undefined where there is none. */
function pairAt(model: Model, value: string, side: 'maker' | 'user'): { scale: number; zeroPoint: number } | undefined {
  const node = model.graph.nodes.find((other) =>
    side === 'maker'
      ? other.op === 'DequantizeLinear' && other.outputs[0] === value
      : other.op === 'QuantizeLinear' && other.inputs[0] === value,
  );
  const [scale, zero] = [1, 2].map((i) => model.graph.initializers.get(node?.inputs[i] ?? ''));
  return node && { scale: Number(scale?.data[0]), zeroPoint: Number(zero?.data[0]) };
}

const nodeOf = (model: Model, op: string): Node => model.graph.nodes.find((node) => node.op === op)!;
const shapeOf = (model: Model): string =>
  model.graph.nodes
    .map((node) => node.op.replace('QuantizeLinear', 'Q').replace('DeQ', 'DQ'))
    .join(' ')
    .replaceAll('DequantizeLinear', 'DQ');

async function expectClose(model: Model, int8: Model, decibels: number, dims: readonly number[] = DIMS): Promise<void> {
  const feeds = { x: seeded(100, dims) };
  const [expected, actual] = [await runOnce(model, feeds), await runOnce(int8, feeds)];
  for (const { name } of model.graph.outputs) {
    const [a, b] = [expected[name]!.data as Float32Array, actual[name]!.data as Float32Array];
    const signal = a.reduce((sum, value) => sum + value * value, 0);
    const noise = a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
    expect(10 * Math.log10(signal / noise)).toBeGreaterThan(decibels);
  }
}

/** x -> op -> LeakyRelu -> y; the latter keeps what only moves values from being the end of the model. */
function around(
  op: string,
  attributes: Attributes = {},
  constants: Readonly<Record<string, TensorData>> = {},
  inputs?: readonly string[],
): Model {
  const names = Object.keys(constants);
  return seededModel({
    nodes: [
      makeNode(op, inputs ?? ['x', ...names], ['z'], attributes, 'op'),
      makeNode('LeakyRelu', ['z'], ['y'], { alpha: float(0.1) }, 'last'),
    ],
    constants,
    dims: DIMS,
  });
}

const kernel = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
const W = seeded(1, [6, 4, 3, 3], 0.2);
const B = seeded(2, [6], 0.5);

describe('the operators with scales of their own', () => {
  it.each([
    ['Conv', around('Conv', { pads: ints([1, 1, 1, 1]) }, { W, B }), 30],
    ['Conv depthwise', around('Conv', { group: int(4) }, { W: seeded(3, [4, 1, 3, 3]) }), 30],
    ['ConvTranspose', around('ConvTranspose', { strides: ints([2, 2]) }, { W: seeded(1, [4, 6, 2, 2], 0.3), B }), 30],
    ['ConvTranspose in groups', around('ConvTranspose', { group: int(2) }, { W: seeded(1, [4, 3, 2, 2], 0.3), B }), 30],
    ['MatMul', around('MatMul', {}, { W: seeded(1, [6, 5]) }), 30],
    ['Add a constant', around('Add', {}, { c: seeded(4, [1, 4, 1, 1]) }), 30],
    ['Sub', around('Sub', {}, { c: float32Tensor([], Float32Array.of(0.5)) }), 30],
    ['Mul with itself', around('Mul', {}, {}, ['x', 'x']), 25],
    ['LeakyRelu', around('LeakyRelu'), 30],
    ['HardSwish', around('HardSwish'), 25],
    ['Sigmoid', around('Sigmoid'), 30],
    ['Tanh', around('Tanh'), 30],
    ['Relu on its own', around('Relu'), 30],
    ['AveragePool', around('AveragePool', kernel), 30],
    ['GlobalAveragePool', around('GlobalAveragePool'), 25],
    ['ReduceMean', around('ReduceMean', { axes: ints([2, 3]) }), 25],
  ])('%s has a pair on both sides', async (_, model, decibels) => {
    for (const activationType of ['int8', 'uint8'] as const) {
      const { model: int8, quantised: names, kept } = await quantised(model, { activationType });
      const node = int8.graph.nodes.find(({ name }) => name === 'op')!;
      expect(pairAt(int8, node.inputs[0]!, 'maker')).toBeDefined();
      expect(pairAt(int8, node.outputs[0]!, 'user')).toBeDefined();
      expect([names, kept]).toEqual([['op', 'last'], []]);
      expect(int8.graph.initializers.get('z.zero')?.type).toBe(activationType);
      await expectClose(model, int8, decibels);
    }
  });
});

describe('the operators that move values', () => {
  const sizes = { roi: float32Tensor([0], new Float32Array(0)), scales: float32Tensor([4], Float32Array.of(1, 1, 2, 2)) };
  it.each([
    ['MaxPool', around('MaxPool', kernel)],
    ['GlobalMaxPool', around('GlobalMaxPool')],
    ['Reshape', around('Reshape', {}, { shape: int64Tensor([1, -1]) })],
    ['Flatten', around('Flatten')],
    ['Transpose', around('Transpose', { perm: ints([0, 2, 3, 1]) })],
    ['Unsqueeze', around('Unsqueeze', {}, { axes: int64Tensor([0]) })],
    ['Squeeze', around('Squeeze', {}, { axes: int64Tensor([0]) })],
    ['Slice', around('Slice', {}, { starts: int64Tensor([0]), ends: int64Tensor([3]), axes: int64Tensor([1]) })],
    ['Pad', around('Pad', {}, { pads: int64Tensor([0, 0, 1, 1, 0, 0, 1, 1]) })],
    ['Resize nearest', around('Resize', { mode: string('nearest') }, sizes)],
    ['Resize linear', around('Resize', { mode: string('linear') }, sizes)],
    ['DepthToSpace', around('DepthToSpace', { blocksize: int(2) })],
    ['SpaceToDepth', around('SpaceToDepth', { blocksize: int(2) })],
    ['Concat', around('Concat', { axis: int(1) }, { c: seeded(9, DIMS, 3) })],
  ])('%s has one scale on both sides', async (_, model) => {
    const { model: int8, quantised: names } = await quantised(model);
    const node = int8.graph.nodes.find(({ name }) => name === 'op')!;
    const before = pairAt(int8, node.inputs[0]!, 'maker');
    expect(before).toBeDefined();
    expect(pairAt(int8, node.outputs[0]!, 'user')).toEqual(before);
    expect(names).toEqual(['op', 'last']);
    await expectClose(model, int8, 30);
  });

  it('Split has it on all its outputs', async () => {
    const nodes = [makeNode('Split', ['x'], ['a', 'b'], { axis: int(1) }), makeNode('Sub', ['a', 'b'], ['y'])];
    const model = seededModel({ nodes, dims: DIMS });
    const { model: int8 } = await quantised(model);
    expect(pairAt(int8, 'a', 'user')).toEqual(pairAt(int8, 'x', 'user'));
    expect(pairAt(int8, 'b', 'user')).toEqual(pairAt(int8, 'x', 'user'));
    await expectClose(model, int8, 30);
  });

  it('stay in float at the end of the model, where each part keeps its scale', async () => {
    const nodes = [
      makeNode('Conv', ['x', 'W'], ['boxes']),
      makeNode('Sigmoid', ['x'], ['scores']),
      makeNode('Flatten', ['boxes'], ['b']),
      makeNode('Flatten', ['scores'], ['s']),
      makeNode('Concat', ['b', 's'], ['y'], { axis: int(1) }),
    ];
    const model = seededModel({ nodes, constants: { W: seeded(1, [6, 4, 1, 1], 300) }, dims: DIMS });
    const { model: int8, kept } = await quantised(model);
    expect(kept.map(({ node, reason }) => `${node}: ${reason}`)).toEqual(
      ['b', 's', 'y'].map((name) => `${name}: it moves values only, for float users`),
    );
    expect(pairAt(int8, 'scores', 'user')).toEqual({ scale: 1 / 256, zeroPoint: -128 });
  });
});

describe('quantiseModel', () => {
  it('puts the pair behind a Relu, and a Relu before a pool', async () => {
    const nodes = [makeNode('Conv', ['x', 'W', 'B'], ['c']), makeNode('MaxPool', ['c'], ['m'], kernel), makeNode('Relu', ['m'], ['y'])];
    const model = seededModel({ nodes, constants: { W, B }, dims: DIMS });
    const { model: int8 } = await quantised(model);
    expect(shapeOf(int8)).toBe('Q DQ DQ DQ Conv Relu Q DQ MaxPool Q DQ');
    expect(pairAt(int8, 'c.bounded', 'user')?.zeroPoint).toBe(-128);
    await expectClose(model, int8, 30);
  });

  it('keeps the bounds of Clip, and what a second user of the layer sees', async () => {
    const bounds = { low: float32Tensor([], Float32Array.of(0)), high: float32Tensor([], Float32Array.of(0.4)) };
    const clip = seededModel({
      nodes: [makeNode('Conv', ['x', 'W', 'B'], ['c']), makeNode('Clip', ['c', 'low', 'high'], ['y'])],
      constants: { W, B, ...bounds },
      dims: DIMS,
    });
    const { model: int8 } = await quantised(clip);
    expect(shapeOf(int8)).toBe('Q DQ DQ DQ Conv Clip Q DQ');
    await expectClose(clip, int8, 25);
    const both = {
      ...clip,
      graph: { ...clip.graph, outputs: [...clip.graph.outputs, { name: 'c', type: 'float32' as const, shape: null }] },
    };
    const { model: two } = await quantised(both);
    expect(shapeOf(two)).toBe('Q DQ DQ DQ Conv Q DQ Clip Q DQ');
    await expectClose(both, two, 25);
  });

  it('quantises weights per output channel and the bias with the product of the scales', async () => {
    const { model: int8 } = await quantised(around('Conv', {}, { W, B }));
    const { initializers } = int8.graph;
    expect(initializers.get('W.q')?.type).toBe('int8');
    expect(initializers.get('W.scale')?.dims).toEqual([6]);
    expect(initializers.get('B.q')?.type).toBe('int32');
    const x = Number(initializers.get('x.scale')!.data[0]);
    const product = (initializers.get('W.scale')!.data as Float32Array).map((scale) => scale * x);
    expect(initializers.get('B.scale')!.data).toEqual(product);
    expect(initializers.has('W')).toBe(false);
  });

  it.each([0, 1])('takes Gemm with transB %i, its factors and a scalar bias', async (transB) => {
    const constants = { W: seeded(1, transB === 1 ? [5, 144] : [144, 5], 0.1), b: float32Tensor([1], Float32Array.of(3)) };
    const nodes = [
      makeNode('Flatten', ['x'], ['f']),
      makeNode('Gemm', ['f', 'W', 'b'], ['y'], { transB: int(transB), alpha: float(0.5), beta: float(2) }, 'gemm'),
    ];
    const model = seededModel({ nodes, constants, dims: DIMS });
    const { model: int8, kept } = await quantised(model);
    expect(kept).toEqual([]);
    const weights = int8.graph.nodes.find((node) => node.outputs[0] === nodeOf(int8, 'Gemm').inputs[1])!;
    expect(weights.attributes.axis).toEqual(int(transB === 1 ? 0 : 1));
    await expectClose(model, int8, 30);
  });

  it('quantises a Sigmoid anew where it joins other values', async () => {
    const nodes = [
      makeNode('Sigmoid', ['x'], ['s']),
      makeNode('Concat', ['s', 'x'], ['j'], { axis: int(1) }),
      makeNode('Mul', ['s', 's'], ['y2']),
      makeNode('LeakyRelu', ['j'], ['y']),
    ];
    const model = seededModel({ nodes, dims: DIMS, outputs: ['y', 'y2'] });
    const { model: int8 } = await quantised(model);
    expect(pairAt(int8, 's', 'user')).toEqual({ scale: 1 / 256, zeroPoint: -128 });
    const concat = nodeOf(int8, 'Concat');
    expect(pairAt(int8, concat.inputs[0]!, 'maker')).toEqual(pairAt(int8, concat.inputs[1]!, 'maker'));
    expect(pairAt(int8, nodeOf(int8, 'Mul').inputs[0]!, 'maker')).toEqual({ scale: 1 / 256, zeroPoint: -128 });
    await expectClose(model, int8, 30);
  });

  it('tells why a node stays in float', async () => {
    const nodes = [
      makeNode('Conv', ['x', 'W', 'B'], ['c'], {}, 'first'),
      makeNode('Relu', ['c'], ['r'], {}, 'relu'),
      makeNode('Softmax', ['r'], ['p'], { axis: int(1) }, 'softmax'),
      makeNode('MatMul', ['p', 'r'], ['m'], {}, 'attention'),
      makeNode('Pad', ['m', 'pads', 'one'], ['q'], {}, 'pad'),
      makeNode('Sigmoid', ['q'], ['y'], {}, 'last'),
    ];
    const one = float32Tensor([], Float32Array.of(1));
    const model = seededModel({ nodes, constants: { W, B, one, pads: int64Tensor([0, 0, 1, 1, 0, 0, 0, 0]) }, dims: DIMS });
    const { quantised: names, kept, model: int8 } = await quantised(model, { skip: ['first'] });
    expect(names).toEqual(['last']);
    expect(Object.fromEntries(kept.map(({ node, reason }) => [node, reason]))).toEqual({
      first: 'the option "skip" names it',
      relu: 'its input comes from Conv "first" in float',
      softmax: 'Softmax is computed in float',
      attention: 'its weights are not constant',
      pad: 'it pads with another value than 0',
    });
    await expectClose(model, int8, 30);
  });

  it('gives a result that is almost nothing a scale that kernels can reach', async () => {
    const cancel = float32Tensor([1, 4, 1, 1], Float32Array.of(50, -50, 50, -50));
    const model = seededModel({ nodes: [makeNode('Conv', ['x', 'W'], ['y'])], constants: { W: cancel }, dims: DIMS });
    const same = { x: float32Tensor(DIMS, new Float32Array(144).fill(1)) };
    const nearly = { x: float32Tensor(DIMS, new Float32Array(144).fill(1).fill(1 + 2 ** -20, 0, 36)) };
    const { model: int8 } = await quantised(model, {}, [same, nearly]);
    const scaleOf = (name: string): number => Number(int8.graph.initializers.get(name)!.data[0]);
    expect((scaleOf('x.scale') * scaleOf('W.scale')) / scaleOf('y.scale')).toBeLessThan(256);
  });

  it('folds batch normalization first, and raises the opset', async () => {
    const stats = { s: seeded(5, [6]), b: seeded(6, [6]), m: seeded(7, [6]), v: float32Tensor([6], new Float32Array(6).fill(2)) };
    const nodes = [
      makeNode('Conv', ['x', 'W', 'B'], ['c'], {}, 'conv'),
      makeNode('BatchNormalization', ['c', 's', 'b', 'm', 'v'], ['n']),
      makeNode('Clip', ['n'], ['y'], { min: float(0) }),
    ];
    const model = seededModel({ nodes, constants: { W, B, ...stats }, dims: DIMS, opset: 9 });
    const { model: int8, quantised: names } = await quantised(model);
    expect(names).toEqual(['conv', 'y']);
    expect(int8.opsets).toEqual([{ domain: '', version: 13 }]);
    await expectClose(model, int8, 30);
  });

  it('gives the same bytes every time, which can be read again', async () => {
    const model = around('Conv', {}, { W, B });
    const [a, b] = [writeModel((await quantised(model)).model), writeModel((await quantised(model)).model)];
    expect(a).toEqual(b);
    expect(writeModel(readModel(a))).toEqual(a);
    expect(readModel(a).graph.inputs).toEqual(model.graph.inputs);
  });

  it('survives names that are taken', async () => {
    const nodes = [
      makeNode('Conv', ['x', 'W.q'], ['x.dq'], {}, 'conv'),
      makeNode('Relu', ['x.dq'], ['x.q']),
      makeNode('Sigmoid', ['x.q'], ['y']),
    ];
    const model = seededModel({ nodes, constants: { 'W.q': W }, dims: DIMS });
    const { model: int8 } = await quantised(model);
    await expectClose(model, int8, 25);
  });

  it('refuses to skip a node that is not there', async () => {
    await expect(quantised(around('Relu'), { skip: ['nothing'] })).rejects.toThrow(/no node "nothing"/);
  });

  it('refuses control flow, whose use of outer values cannot be seen', async () => {
    const branch = { kind: 'graph' as const, value: new Uint8Array(0) };
    const model = seededModel({ nodes: [makeNode('If', ['x'], ['y'], { then_branch: branch }, 'branch')], dims: DIMS });
    await expect(quantised(model)).rejects.toThrow(/If "branch" holds a graph/);
  });

  it('refuses ranges of another model, and a model that is quantised', async () => {
    const model = around('Relu');
    expect(() => quantiseModel(model, { method: 'minmax', tensors: new Map() })).toThrow(/no range for the value "x"/);
    const bad = { method: 'minmax' as const, tensors: new Map(['x', 'z', 'y'].map((name) => [name, { min: 0, max: Number.NaN }])) };
    expect(() => quantiseModel(model, bad)).toThrow(/range of "x"/);
    const { model: int8 } = await quantised(model);
    const code = await calibrate(int8, seededBatches(DIMS, 1), { method: 'minmax' }).catch((error: AppError) => error.code);
    expect(code).toBe('INPUT_INVALID');
  });
});
