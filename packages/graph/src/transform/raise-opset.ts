import { AppError } from '@selvedge/contract';
import {
  type Attribute,
  attribute,
  float32Tensor,
  floatAttribute,
  IR_VERSION,
  int64Tensor,
  intAttribute,
  intsAttribute,
  type Model,
  makeNode,
  type Node,
  nodeLabel,
  opsetOf,
  stringAttribute,
  type TensorData,
} from '../onnx/index.ts';

const OLDEST_OPSET = 7;
const TARGET_OPSET = 13;

/** Operators that mean in version 13 what they meant in version 7: later versions only added types and optional parts. */
const UNCHANGED: ReadonlySet<string> = new Set(
  `Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Cast Ceil Celu Concat Constant ConstantOfShape Conv
  ConvTranspose Cos Cosh CumSum DepthToSpace Div Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND
  Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity InstanceNormalization LRN LSTM
  LeakyRelu Less LessOrEqual Log LpNormalization LpPool MatMul Max MaxPool Mean Min Mod Mul Neg NonMaxSuppression NonZero Not
  OneHot Or PRelu Pow RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
  ReduceProd ReduceSumSquare Relu Reshape RoiAlign Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Softplus
  Softsign SpaceToDepth Sqrt Sub Sum Tan Tanh ThresholdedRelu Tile Transpose Where Xor`.split(/\s+/),
);

/** What the rewriting of one node may ask for. */
interface Rewrite {
  readonly opset: number;
  /** Stores a constant under a new name that begins with the node's output. */
  constant(node: Node, what: string, tensor: TensorData): string;
  /** A new name for a value. */
  value(node: Node, what: string): string;
  rankOf(value: string): number | undefined;
  fail(node: Node, why: string): never;
}

type Rule = (node: Node, rewrite: Rewrite) => readonly Node[];

const without = (node: Node, ...names: readonly string[]): Record<string, Attribute> =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));

/** A list of integers that became an input: `axes` of Squeeze, `split` of Split. */
function listToInput(name: string): Rule {
  return (node, rewrite) => {
    const list = intsAttribute(node, name);
    if (rewrite.opset >= 13 || !list) return [node];
    const input = rewrite.constant(node, name, int64Tensor(list));
    return [{ ...node, inputs: [node.inputs[0] ?? '', input], attributes: without(node, name) }];
  };
}

const clip: Rule = (node, rewrite) => {
  if (rewrite.opset >= 11) return [node];
  const bound = (key: 'min' | 'max'): string =>
    node.attributes[key] ? rewrite.constant(node, key, float32Tensor([], Float32Array.of(floatAttribute(node, key, 0)))) : '';
  return [{ ...node, inputs: [node.inputs[0] ?? '', bound('min'), bound('max')], attributes: without(node, 'min', 'max') }];
};

const pad: Rule = (node, rewrite) => {
  const pads = intsAttribute(node, 'pads');
  if (rewrite.opset >= 11 || !pads) return [node];
  const value = float32Tensor([], Float32Array.of(floatAttribute(node, 'value', 0)));
  const inputs = [node.inputs[0] ?? '', rewrite.constant(node, 'pads', int64Tensor(pads)), rewrite.constant(node, 'value', value)];
  return [{ ...node, inputs, attributes: without(node, 'pads', 'value') }];
};

const slice: Rule = (node, rewrite) => {
  if (rewrite.opset >= 10) return [node];
  const starts = intsAttribute(node, 'starts') ?? [];
  const lists = { starts, ends: intsAttribute(node, 'ends') ?? [], axes: intsAttribute(node, 'axes') ?? starts.map((_, axis) => axis) };
  const inputs = Object.entries(lists).map(([name, list]) => rewrite.constant(node, name, int64Tensor(list)));
  return [{ ...node, inputs: [node.inputs[0] ?? '', ...inputs], attributes: without(node, 'starts', 'ends', 'axes') }];
};

const topK: Rule = (node, rewrite) => {
  if (rewrite.opset >= 10) return [node];
  const k = rewrite.constant(node, 'k', int64Tensor([intAttribute(node, 'k', 1)]));
  return [{ ...node, inputs: [node.inputs[0] ?? '', k], attributes: without(node, 'k') }];
};

/** Before version 11 a resize had one way to place its samples, and an input less. */
const resize: Rule = (node, rewrite) => {
  if (rewrite.opset >= 11) return [node];
  const given = node.attributes.scales;
  const scales =
    given?.kind === 'floats'
      ? rewrite.constant(node, 'scales', float32Tensor([given.value.length], Float32Array.from(given.value)))
      : (node.inputs[1] ?? '');
  const attributes: Record<string, Attribute> = {
    mode: attribute.string(stringAttribute(node, 'mode', 'nearest')),
    coordinate_transformation_mode: attribute.string('asymmetric'),
    nearest_mode: attribute.string('floor'),
  };
  return [{ ...node, op: 'Resize', inputs: [node.inputs[0] ?? '', '', scales], attributes }];
};

/** Before version 13 softmax ran over all axes from `axis` on, as if they were one. */
const softmax: Rule = (node, rewrite) => {
  if (rewrite.opset >= 13) return [node];
  const [x = '', y = ''] = [node.inputs[0], node.outputs[0]];
  const axis = intAttribute(node, 'axis', 1);
  const rank = rewrite.rankOf(y) ?? rewrite.rankOf(x);
  const attributes = { axis: attribute.int(-1) };
  if (axis === -1 || axis + 1 === rank) return [{ ...node, attributes }];
  const [flat, soft, shape] = [rewrite.value(node, 'flat'), rewrite.value(node, 'soft'), rewrite.value(node, 'shape')];
  return [
    makeNode('Flatten', [x], [flat], { axis: attribute.int(axis) }, ''),
    { ...node, inputs: [flat], outputs: [soft], attributes },
    makeNode('Shape', [x], [shape], {}, ''),
    makeNode('Reshape', [soft, shape], [y], {}, ''),
  ];
};

const batchNormalization: Rule = (node, rewrite) => {
  if (intAttribute(node, 'spatial', 1) !== 1) rewrite.fail(node, 'it normalises every position by itself (spatial = 0)');
  return [{ ...node, attributes: without(node, 'spatial') }];
};

const dropout: Rule = (node, rewrite) => {
  if (rewrite.opset >= 12) return [node];
  const ratio = rewrite.constant(node, 'ratio', float32Tensor([], Float32Array.of(floatAttribute(node, 'ratio', 0.5))));
  return [{ ...node, inputs: [node.inputs[0] ?? '', ratio], attributes: without(node, 'ratio') }];
};

const RULES: Readonly<Record<string, Rule>> = {
  Squeeze: listToInput('axes'),
  Unsqueeze: listToInput('axes'),
  ReduceSum: listToInput('axes'),
  Split: listToInput('split'),
  Clip: clip,
  Pad: pad,
  Slice: slice,
  TopK: topK,
  Resize: resize,
  Upsample: resize,
  Softmax: softmax,
  LogSoftmax: softmax,
  BatchNormalization: batchNormalization,
  Dropout: dropout,
};

function rewriting(model: Model, opset: number, added: Map<string, TensorData>): Rewrite {
  const { graph } = model;
  const taken = new Set([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name), ...graph.nodes.flatMap((n) => n.outputs)]);
  const ranks = new Map([...graph.inputs, ...graph.outputs].map(({ name, shape }) => [name, shape?.length]));
  const fresh = (node: Node, what: string): string => {
    let name = `${node.outputs[0] ?? ''}.${what}`;
    while (taken.has(name)) name += '_';
    taken.add(name);
    return name;
  };
  return {
    opset,
    value: fresh,
    constant: (node, what, tensor) => {
      const name = fresh(node, what);
      added.set(name, tensor);
      return name;
    },
    rankOf: (value) => ranks.get(value),
    fail: (node, why) => {
      throw new AppError('OP_UNSUPPORTED', {
        message: `The model is written for opset ${opset} and cannot be raised to ${TARGET_OPSET}: ${nodeLabel(node)}: ${why}.`,
        hint: `Export the model again with opset ${TARGET_OPSET} or later.`,
        data: { node: node.name, op: node.op, opset },
      });
    },
  };
}

/**
 * Rewrites a model of opset 7 to 12 for opset 13, the first with scales per channel; a later one is returned as it is.
 * What the model computes stays the same.
 *
 * @throws AppError OP_UNSUPPORTED naming the node when the model is older, or an operator changed in a way that is not known here.
 */
export function raiseOpset(model: Model): Model {
  const opset = opsetOf(model);
  if (opset >= TARGET_OPSET) return model;
  if (opset < OLDEST_OPSET) {
    throw new AppError('OP_UNSUPPORTED', {
      message: `The model is written for opset ${opset}; models of opset ${OLDEST_OPSET} and later are supported.`,
      hint: `Export the model again with opset ${TARGET_OPSET} or later.`,
    });
  }
  const added = new Map<string, TensorData>();
  const rewrite = rewriting(model, opset, added);
  const nodes = model.graph.nodes.flatMap((node) => {
    if (node.domain !== '') return [node];
    if (UNCHANGED.has(node.op)) return [node];
    const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
    return rule ? rule(node, rewrite) : rewrite.fail(node, 'the meaning of this operator may have changed');
  });
  const opsets = [{ domain: '', version: TARGET_OPSET }, ...model.opsets.filter(({ domain }) => domain !== '' && domain !== 'ai.onnx')];
  const initializers = new Map([...model.graph.initializers, ...added]);
  return { ...model, irVersion: Math.max(model.irVersion, IR_VERSION), opsets, graph: { ...model.graph, nodes, initializers } };
}
