import { elementCount, type Model, type Node, type TensorType } from '../onnx/index.ts';
import { foldConstants } from './fold/fold-constants.ts';
import { GraphBuilder, MAX_RANK } from './graph-builder.ts';
import type { IrGraph, IrPort } from './ir.ts';
import { knownShape, type Network, networkOf, type Unsupported, unsupported, wiringOf } from './network.ts';
import { type Lowering, type LowerRules, NodeContext, NotLowered } from './node-context.ts';
import { simplify } from './passes/simplify.ts';
import { pruned } from './prune.ts';
import { CONVOLUTION_RULES } from './rules/convolution.ts';
import { ELEMENTWISE_RULES } from './rules/elementwise.ts';
import { LAYOUT_RULES } from './rules/layout.ts';
import { LINEAR_RULES } from './rules/linear.ts';
import { NORMALIZATION_RULES } from './rules/normalization.ts';
import { POOLING_RULES } from './rules/pooling.ts';
import { QUANTISATION_RULES } from './rules/quantisation.ts';
import { REDUCTION_RULES } from './rules/reduction.ts';
import { RESIZE_RULES } from './rules/resize.ts';
import { memoryOrder, NHWC, type TensorView, viewOf } from './tensor-view.ts';

const RULES: LowerRules = {
  ...CONVOLUTION_RULES,
  ...ELEMENTWISE_RULES,
  ...LAYOUT_RULES,
  ...LINEAR_RULES,
  ...NORMALIZATION_RULES,
  ...POOLING_RULES,
  ...QUANTISATION_RULES,
  ...REDUCTION_RULES,
  ...RESIZE_RULES,
};

/** Operators that can be lowered, some of them within limits; sorted by name. */
export const LOWERED_OPS: readonly string[] = Object.keys(RULES).sort();

export type LowerResult = { readonly graph: IrGraph } | { readonly unsupported: readonly Unsupported[] };

/** Types of the model's inputs with the batch bound to 1; what cannot be bound is noted. */
function boundInputs(model: Model, network: Network): Map<string, TensorType> {
  const types = new Map<string, TensorType>();
  for (const { name, type, shape } of model.graph.inputs) {
    const note = (reason: string) => network.unsupported.push({ node: name, op: 'Input', reason });
    if (!shape) note('it does not say how many dimensions it has');
    else if (shape.some((size, i) => i > 0 && typeof size !== 'number')) note('a dimension other than the batch is open');
    else if (type !== 'float32') note(`its type is ${type}, not float32`);
    else types.set(name, { type, shape: shape.map((size) => (typeof size === 'number' ? size : 1)) });
  }
  return types;
}

function addInputs(model: Model, types: ReadonlyMap<string, TensorType>, lowering: Lowering): IrPort[] {
  const ports: IrPort[] = [];
  for (const { name } of model.graph.inputs) {
    const shape = types.get(name)?.shape.map((size) => size ?? 1);
    if (!shape) continue;
    const picture = shape.length === 4;
    const order = picture ? NHWC : shape.map((_, i) => i);
    const value = lowering.builder.temporary(
      name,
      order.map((axis) => shape[axis] ?? 1),
    );
    lowering.views.set(name, viewOf(value, shape, order));
    ports.push({ name, shape, order: picture ? 'nhwc' : 'asShape', value });
  }
  return ports;
}

function lowerNode(node: Node, lowering: Lowering): void {
  const { network, views } = lowering;
  if (lowering.absorbed.has(node)) return;
  // The real numbers of a dequantised constant are known; who wants its integers looks behind the node.
  if (node.outputs.every((name) => network.constants.has(name) || name === '')) return;
  const rule = Object.hasOwn(RULES, node.op) && (node.domain === '' || node.domain === 'ai.onnx') ? RULES[node.op] : undefined;
  const noted = network.unsupported.some((entry) => entry.node === unsupported(node, '').node);
  if (!rule) {
    if (!noted) network.unsupported.push(unsupported(node, 'the operator is not supported'));
    return;
  }
  const usable = node.inputs.every((name) => name === '' || views.has(name) || network.constants.has(name));
  if (!usable || noted) return;
  try {
    rule(new NodeContext(node, lowering));
  } catch (error) {
    if (!(error instanceof NotLowered)) throw error;
    network.unsupported.push(unsupported(node, error.message));
  }
}

/** Order and value of an output: pictures as N, H, W, C unless they already lie as their shape says. */
function settledOutput(
  view: TensorView,
  shape: readonly number[],
  builder: GraphBuilder,
): { order: IrPort['order']; value: number } | undefined {
  const asShape = shape.map((_, i) => i);
  const lying = memoryOrder(view);
  const nhwc = shape.length === 4 && lying?.join() !== asShape.join();
  const order = nhwc ? NHWC : asShape;
  const moved = builder.moved(view, order);
  if (!moved) return undefined;
  const value = builder.withDims(
    builder.inFloat(moved.value),
    order.map((axis) => shape[axis] ?? 1),
  );
  return { order: nhwc ? 'nhwc' : 'asShape', value };
}

function addOutputs(lowering: Lowering, inputs: readonly IrPort[]): IrPort[] {
  const { network, views, builder } = lowering;
  const taken = new Set(inputs.map((port) => port.value));
  const ports: IrPort[] = [];
  for (const name of network.outputs) {
    const view = views.get(name);
    const shape = knownShape(network, name);
    const settled = view && shape ? settledOutput(view, shape, builder) : undefined;
    if (!settled || !shape) {
      if (network.unsupported.length === 0)
        network.unsupported.push({ node: name, op: 'Output', reason: 'it does not depend on the inputs' });
      continue;
    }
    // An engine writes every output to memory of its own.
    const shared = taken.has(settled.value) || builder.value(settled.value).constant !== undefined;
    const value = shared ? builder.copy(settled.value) : settled.value;
    taken.add(value);
    ports.push({ name, shape, order: settled.order, value });
  }
  return ports;
}

/** Engines address a tensor with 32 bits. */
const MAX_ELEMENTS = 0x7fff_ffff;

function tooLarge(graph: IrGraph): Unsupported[] {
  return graph.values.flatMap(({ name, dims }) => {
    if (dims.length > MAX_RANK) return [{ node: name, op: 'Tensor', reason: `more than ${MAX_RANK} dimensions` }];
    if (elementCount(dims) > MAX_ELEMENTS) return [{ node: name, op: 'Tensor', reason: `more than ${MAX_ELEMENTS} elements` }];
    return [];
  });
}

/**
 * Lowers a model to operations that engines for small devices have: batch normalisation folded, constants worked out,
 * activations and pads taken into the operations before and behind them, pictures in the order N, H, W, C with data moved
 * only where nothing else helps, and quantised models (QuantizeLinear and DequantizeLinear around the operators) in int8.
 * An open batch becomes 1.
 *
 * @returns the graph; or every node that cannot be expressed, with the reason, in the order of the model.
 * @throws AppError SHAPE_MISMATCH, MODEL_INVALID when the model is broken.
 */
export function lowerModel(model: Model): LowerResult {
  const network = networkOf(model);
  const types = boundInputs(model, network);
  foldConstants(network, types);
  simplify(network);
  const builder = new GraphBuilder();
  const lowering: Lowering = { network, wiring: wiringOf(network), builder, views: new Map(), absorbed: new Set() };
  const inputs = addInputs(model, types, lowering);
  for (const node of network.nodes) lowerNode(node, lowering);
  const outputs = addOutputs(lowering, inputs);
  if (network.unsupported.length > 0) return { unsupported: network.unsupported };
  const graph = pruned({ values: builder.values, ops: builder.ops, inputs, outputs });
  const large = tooLarge(graph);
  return large.length > 0 ? { unsupported: large } : { graph };
}
