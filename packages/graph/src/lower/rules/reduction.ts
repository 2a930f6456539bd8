import { elementCount, floatAttribute, intAttribute } from '../../onnx/index.ts';
import { axesOperand } from '../../onnx/shapes/operands.ts';
import { UNBOUNDED } from '../ir.ts';
import type { LowerRule, LowerRules, NodeContext } from '../node-context.ts';
import { memoryOrder, type TensorView, viewOf } from '../tensor-view.ts';

const allAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);

function reduceAxes(context: NodeContext, operator: 'mean' | 'sum', axes: readonly number[], keep: boolean): void {
  const shape = context.shape(0);
  const view = context.view(0);
  const int8 = operator === 'mean' && context.quantOf(view) !== undefined;
  const sink = context.sink({ clamp: false, int8 });
  const order = memoryOrder(view) ?? allAxes(shape.length);
  const x = context.arranged(sink.quant ? view : context.inFloat(view), order);
  const reduced = axes.map((axis) => order.indexOf(axis)).sort((a, b) => a - b);
  const y = context.builder.reduce(operator, x, reduced, sink.quant);
  const kept = viewOf(
    y,
    shape.map((size, i) => (axes.includes(i) ? 1 : size)),
    order,
  );
  context.give(sink, keep ? kept : { ...kept, axes: kept.axes.filter((_, i) => !axes.includes(i)) });
}

function reduce(operator: 'mean' | 'sum'): LowerRule {
  return (context) => {
    const { node } = context;
    const rank = context.shape(0).length;
    const axes = axesOperand({ node, opset: context.opset, constant: (index) => context.constant(index) }, rank);
    if (typeof axes === 'string') return context.unsupported(axes);
    if (axes === null && intAttribute(node, 'noop_with_empty_axes', 0) !== 0) context.give(node.outputs[0], context.view(0));
    else reduceAxes(context, operator, axes ?? allAxes(rank), intAttribute(node, 'keepdims', 1) !== 0);
  };
}

function globalAveragePool(context: NodeContext): void {
  reduceAxes(context, 'mean', allAxes(context.shape(0).length).slice(2), true);
}

/** The operand as rows over `axes`, which lie last; and the order that it lies in. */
function rowsOver(context: NodeContext, axes: readonly number[]): { x: number; order: readonly number[]; rows: number; size: number } {
  const shape = context.shape(0);
  const view = context.inFloat(context.view(0));
  const lying = memoryOrder(view);
  const rest = allAxes(shape.length).filter((axis) => !axes.includes(axis));
  const last = lying?.slice(-axes.length).join() === axes.join();
  const order = last && lying ? lying : [...rest, ...axes];
  const size = elementCount(axes.map((axis) => shape[axis] ?? 1));
  const rows = elementCount(shape) / size;
  return { x: context.arranged(view, order, [rows, size]), order, rows, size };
}

/** Before opset 13 every dimension from the axis on takes part. */
function softmaxAxes(context: NodeContext): readonly number[] {
  const rank = context.shape(0).length;
  const axis = context.axis(context.opset < 13 ? 1 : -1, rank);
  return context.opset < 13 ? allAxes(rank).slice(axis) : [axis];
}

function softmax(context: NodeContext): void {
  const { x, order, rows, size } = rowsOver(context, softmaxAxes(context));
  const y = context.builder.temporary(context.node.outputs[0] ?? '', [rows, size]);
  context.builder.ops.push({ op: 'softmax', x, y });
  context.give(context.node.outputs[0], viewOf(y, context.shape(0), order));
}

/** Largest value of each row, as [rows, 1]: a pool whose window is the row. */
function rowMaximum(context: NodeContext, x: number, rows: number, size: number): number {
  const { builder } = context;
  if (size === 1) return x;
  const column = builder.withDims(x, [rows, size, 1, 1]);
  const y = builder.temporary('largest', [rows, 1, 1, 1]);
  const window = { kernel: [size, 1], strides: [size, 1], dilations: [1, 1], pads: [0, 0, 0, 0] } as const;
  builder.ops.push({ op: 'maxPool2d', window, x: column, y, bounds: UNBOUNDED });
  return builder.withDims(y, [rows, 1]);
}

function logSoftmax(context: NodeContext): void {
  const { builder, node } = context;
  const { x, order, rows, size } = rowsOver(context, softmaxAxes(context));
  const shifted = builder.binary('subtract', x, rowMaximum(context, x, rows, size));
  const sum = builder.reduce('sum', builder.unary('exp', shifted), [1]);
  const y = builder.binary('subtract', shifted, builder.unary('log', sum));
  context.give(node.outputs[0], viewOf(y, context.shape(0), order));
}

function reduceMax(context: NodeContext): void {
  const shape = context.shape(0);
  const axes = axesOperand({ node: context.node, opset: context.opset, constant: (index) => context.constant(index) }, shape.length);
  if (typeof axes === 'string') context.unsupported(axes);
  const over = axes ?? allAxes(shape.length);
  const { x, rows, size, order } = rowsOver(context, over);
  const kept: TensorView = viewOf(
    rowMaximum(context, x, rows, size),
    shape.map((edge, i) => (over.includes(i) ? 1 : edge)),
    order,
  );
  const keep = intAttribute(context.node, 'keepdims', 1) !== 0;
  context.give(context.node.outputs[0], keep ? kept : { ...kept, axes: kept.axes.filter((_, i) => !over.includes(i)) });
}

/** (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on. */
function layerNormalization(context: NodeContext): void {
  const { builder, node } = context;
  if (node.outputs.slice(1).some((name) => name !== '')) context.unsupported('mean and deviation as results');
  const shape = context.shape(0);
  const axes = allAxes(shape.length).slice(context.axis(-1, shape.length));
  const { x, order, size } = rowsOver(context, axes);
  const row = (index: number, what: string): number => {
    const { data } = context.floatConstant(index, what);
    if (data.length !== size) context.unsupported(`${what} that do not have one value per element`);
    return builder.floats(node.inputs[index] ?? '', [size], data);
  };
  const centred = builder.binary('subtract', x, builder.reduce('mean', x, [1]));
  const variance = builder.reduce('mean', builder.unary('square', centred), [1]);
  const inverse = builder.unary('reciprocalSquareRoot', builder.withNumber('add', variance, floatAttribute(node, 'epsilon', 1e-5)));
  let y = builder.binary('multiply', centred, inverse);
  if (context.has(1)) y = builder.binary('multiply', y, row(1, 'scales'));
  if (context.has(2)) y = builder.binary('add', y, row(2, 'biases'));
  context.give(node.outputs[0], viewOf(y, shape, order));
}

export const REDUCTION_RULES: LowerRules = {
  ReduceMean: reduce('mean'),
  ReduceSum: reduce('sum'),
  ReduceMax: reduceMax,
  GlobalAveragePool: globalAveragePool,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  LayerNormalization: layerNormalization,
};
