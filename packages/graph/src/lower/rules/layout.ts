import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../../onnx/index.ts';
import { axesOperand, blockSize, padEdges, type SliceRange, sliceRanges, splitSizes } from '../../onnx/shapes/operands.ts';
import type { LowerRules, NodeContext } from '../node-context.ts';
import { sameQuant } from '../quantised.ts';
import { memoryOrder, reshaped, shapeOf, type TensorView, transposed, viewOf } from '../tensor-view.ts';

const source = (context: NodeContext) => ({
  node: context.node,
  opset: context.opset,
  constant: (index: number) => context.constant(index),
});

/** The view under another shape; data moves only where the dimensions are cut across. */
function asShape(context: NodeContext, view: TensorView, shape: readonly number[]): TensorView {
  const direct = reshaped(view, shape);
  if (direct) return direct;
  const moved = context.moved(
    view,
    view.axes.map((_, i) => i),
  );
  return viewOf(moved.value, shape);
}

function reshape(context: NodeContext): void {
  context.give(context.node.outputs[0], asShape(context, context.view(0), context.outputShape()));
}

function transpose(context: NodeContext): void {
  const view = context.view(0);
  const perm = intsAttribute(context.node, 'perm') ?? view.axes.map((_, i) => view.axes.length - 1 - i);
  context.give(context.node.outputs[0], transposed(view, perm));
}

/** All parts in one order and number format: int8 where all are, with the parameters of what follows or of all of them. */
function concat(context: NodeContext): void {
  const shape = context.outputShape();
  const axis = context.axis(0, shape.length);
  const views = context.node.inputs.map((_, i) => context.view(i));
  const [first] = views;
  if (!first) context.unsupported('no operands');
  const quants = views.map((view) => context.quantOf(view));
  const int8 = quants.every((quant) => quant !== undefined);
  const sink = context.sink({ clamp: false, int8 });
  const [shared] = quants;
  const common = int8 && shared && quants.every((quant) => quant && sameQuant(quant, shared)) ? shared : undefined;
  const quant = sink.quant ?? common;
  const order = memoryOrder(first) ?? shape.map((_, i) => i);
  const parts = views.map((view) => {
    const value = quant ? context.builder.inInt8(view.value, quant) : context.builder.inFloat(view.value);
    return context.arranged({ ...view, value }, order);
  });
  const y = context.builder.concat(sink.names[0] ?? '', order.indexOf(axis), parts);
  context.give(sink, viewOf(y, shape, order));
}

/** A block of the operand: `start` and `size` per dimension. */
function cut(context: NodeContext, view: TensorView, ranges: ReadonlyMap<number, { start: number; size: number }>): TensorView {
  const shape = shapeOf(view);
  const order = memoryOrder(view) ?? shape.map((_, i) => i);
  const sizes = shape.map((size, axis) => ranges.get(axis)?.size ?? size);
  if (sizes.every((size, i) => size === shape[i])) return view;
  const x = context.arranged(view, order);
  const y = context.builder.slice(
    x,
    order.map((axis) => ranges.get(axis)?.start ?? 0),
    order.map((axis) => sizes[axis] ?? 1),
  );
  return viewOf(y, sizes, order);
}

/** Every `step`-th element: the dimension becomes [blocks, step], of which one column is taken. */
function strided(context: NodeContext, view: TensorView, axis: number, { start, step, size }: SliceRange): TensorView {
  const shape = shapeOf(view);
  const edge = shape[axis] ?? 1;
  const back = Math.max(0, start + size * step - edge);
  if (step < 0 || back >= step || start < back) context.unsupported(`steps of ${step} that do not fit the dimension`);
  const whole = cut(context, view, new Map([[axis, { start: start - back, size: size * step }]]));
  const split = asShape(context, whole, [...shape.slice(0, axis), size, step, ...shape.slice(axis + 1)]);
  const column = cut(context, split, new Map([[axis + 1, { start: back, size: 1 }]]));
  return { ...column, axes: column.axes.toSpliced(axis + 1, 1) };
}

function slice(context: NodeContext): void {
  const shape = context.shape(0);
  const ranges = sliceRanges(source(context), shape);
  if (typeof ranges === 'string') context.unsupported(ranges);
  const dense = new Map([...ranges].filter(([, range]) => range.step === 1));
  let view = cut(context, context.view(0), dense);
  for (const [axis, range] of ranges) if (range.step !== 1) view = strided(context, view, axis, range);
  context.give(context.node.outputs[0], view);
}

function split(context: NodeContext): void {
  const view = context.view(0);
  const shape = context.shape(0);
  const axis = context.axis(0, shape.length);
  const sizes = splitSizes(source(context), shape[axis] ?? 1);
  if (typeof sizes === 'string') context.unsupported(sizes);
  let start = 0;
  for (const [i, size] of sizes.entries()) {
    context.give(context.node.outputs[i], cut(context, view, new Map([[axis, { start, size }]])));
    start += size;
  }
}

/** One entry of a dimension, chosen by a constant. */
function gather(context: NodeContext): void {
  const shape = context.shape(0);
  const axis = context.axis(0, shape.length);
  const indices = context.constant(1);
  if (indices?.data.length !== 1) context.unsupported('more than one index, or a computed one');
  const at = Number(indices.data[0]);
  const start = at < 0 ? at + (shape[axis] ?? 1) : at;
  const view = cut(context, context.view(0), new Map([[axis, { start, size: 1 }]]));
  context.give(context.node.outputs[0], asShape(context, view, context.outputShape()));
}

function padValue(context: NodeContext): number {
  if (context.opset < 11) return floatAttribute(context.node, 'value', 0);
  if (!context.has(2)) return 0;
  const value = context.constant(2);
  return value && value.data.length === 1 ? Number(value.data[0]) : context.unsupported('a padding value that is computed');
}

function pad(context: NodeContext): void {
  const mode = stringAttribute(context.node, 'mode', 'constant');
  if (mode !== 'constant') context.unsupported(`the mode "${mode}"`);
  const shape = context.shape(0);
  const edges = padEdges(source(context), shape.length);
  if (typeof edges === 'string') context.unsupported(edges);
  const { before, after } = edges;
  const cuts = shape.map((size, i) => ({
    start: Math.max(0, -(before[i] ?? 0)),
    size: size + Math.min(0, before[i] ?? 0) + Math.min(0, after[i] ?? 0),
  }));
  const view = cut(context, context.view(0), new Map(cuts.entries()));
  const order = memoryOrder(view) ?? shape.map((_, i) => i);
  const x = context.arranged(view, order);
  const target = context.outputShape();
  const sizes = order.map((axis) => target[axis] ?? 1);
  const y = context.builder.temporary(context.node.outputs[0] ?? '', sizes, context.quantOf(view));
  const grown = (edge: readonly number[]) => order.map((axis) => Math.max(0, edge[axis] ?? 0));
  context.builder.ops.push({ op: 'pad', before: grown(before), after: grown(after), value: padValue(context), x, y });
  context.give(context.node.outputs[0], viewOf(y, target, order));
}

function squeeze(context: NodeContext): void {
  const view = context.view(0);
  const shape = context.shape(0);
  const axes = axesOperand(source(context), shape.length);
  if (typeof axes === 'string') context.unsupported(axes);
  const gone = (axis: number) => (axes ? axes.includes(axis) : shape[axis] === 1);
  context.give(context.node.outputs[0], { ...view, axes: view.axes.filter((_, i) => !gone(i)) });
}

/** Blocks of channels become blocks of pixels; "DCR" has the place in the block as the outer part of the channel. */
function depthToSpace(context: NodeContext): void {
  const [n = 1, c = 1, h = 1, w = 1] = context.shape(0);
  const block = blockSize(context.node);
  const inner = c / (block * block);
  const columnsLast = stringAttribute(context.node, 'mode', 'DCR') === 'CRD';
  const split = columnsLast ? [n, inner, block, block, h, w] : [n, block, block, inner, h, w];
  const perm = columnsLast ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const view = transposed(asShape(context, context.view(0), split), perm);
  context.give(context.node.outputs[0], asShape(context, view, context.outputShape()));
}

function spaceToDepth(context: NodeContext): void {
  const [n = 1, c = 1, h = 1, w = 1] = context.shape(0);
  const block = blockSize(context.node);
  const view = transposed(asShape(context, context.view(0), [n, c, h / block, block, w / block, block]), [0, 3, 5, 1, 2, 4]);
  context.give(context.node.outputs[0], asShape(context, view, context.outputShape()));
}

function expand(context: NodeContext): void {
  const same = context.shape(0).join() === context.outputShape().slice(-context.shape(0).length).join();
  const count = context.outputShape().reduce((a, b) => a * b, 1);
  if (!same || count !== shapeOf(context.view(0)).reduce((a, b) => a * b, 1)) context.unsupported('repetition of elements');
  reshape(context);
}

export const LAYOUT_RULES: LowerRules = {
  Reshape: reshape,
  Flatten: reshape,
  Unsqueeze: reshape,
  Squeeze: squeeze,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Expand: expand,
  Identity: (context) => context.give(context.node.outputs[0], context.view(0)),
  Dropout: (context) => context.give(context.node.outputs[0], context.view(0)),
  Cast: (context) => {
    if (intAttribute(context.node, 'to', 0) !== 1) context.unsupported('a cast between types');
    context.give(context.node.outputs[0], context.view(0));
  },
};
