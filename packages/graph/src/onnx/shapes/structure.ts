import { floatAttribute, intAttribute } from '../model.ts';
import { integerValues } from '../tensor.ts';
import { axesOperand, blockSize, padEdges, resizeTarget, sliceRanges, splitSizes } from './operands.ts';
import { broadcast, resolveAxis, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';

/** The operand, or the context's "unsupported" with the reason that came instead. */
function known<T>(context: ShapeContext, operand: T | string): T {
  return typeof operand === 'string' ? context.unsupported(operand) : operand;
}

function slice(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const ranges = known(context, sliceRanges(context, x.shape));
  return [{ type: x.type, shape: x.shape.map((size, i) => ranges.get(i)?.size ?? size) }];
}

function split(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const axis = resolveAxis(intAttribute(context.node, 'axis', 0), x.shape.length) ?? context.mismatch('axis is out of range');
  const parts = known(context, splitSizes(context, x.shape[axis] ?? null));
  return parts.map((size) => ({ type: x.type, shape: x.shape.with(axis, size) }));
}

function pad(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const { before, after } = known(context, padEdges(context, x.shape.length));
  const shape = x.shape.map((size, i) => (size === null ? null : size + (before[i] ?? 0) + (after[i] ?? 0)));
  if (shape.some((size) => size !== null && size < 0)) context.mismatch('the pads cut more than there is');
  return [{ type: x.type, shape }];
}

function squeeze(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const axes = known(context, axesOperand(context, x.shape.length)) ?? x.shape.flatMap((size, i) => (size === 1 ? [i] : []));
  if (axes.some((axis) => x.shape[axis] !== 1 && x.shape[axis] !== null)) context.mismatch('only dimensions of 1 can go');
  return [{ type: x.type, shape: x.shape.filter((_, i) => !axes.includes(i)) }];
}

function unsqueeze(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const given = axesOperand(context, Number.MAX_SAFE_INTEGER);
  const count = given === null || typeof given === 'string' ? 0 : given.length;
  const axes = known(context, axesOperand(context, x.shape.length + count)) ?? context.unsupported('no axes');
  const rest = [...x.shape];
  const shape = Array.from({ length: x.shape.length + axes.length }, (_, i) => (axes.includes(i) ? 1 : (rest.shift() ?? null)));
  return [{ type: x.type, shape }];
}

function resize(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  if (x.shape.slice(1).includes(null)) context.unsupported('a dimension of unknown size');
  const { sizes } = known(
    context,
    resizeTarget(
      context,
      x.shape.map((size) => size ?? 1),
    ),
  );
  return [{ type: x.type, shape: sizes.map((size, i) => (x.shape[i] === null ? null : size)) }];
}

function depthToSpace(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const block = blockSize(context.node);
  const [n = null, c = null, h = null, w = null] = x.shape;
  if (x.shape.length !== 4 || block < 1 || (c !== null && c % (block * block) !== 0))
    context.mismatch('[N, C, H, W] with C a multiple of the block is needed');
  const times = (size: number | null, factor: number) => (size === null ? null : size * factor);
  return [{ type: x.type, shape: [n, times(c, 1 / (block * block)), times(h, block), times(w, block)] }];
}

function spaceToDepth(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const block = blockSize(context.node);
  const [n = null, c = null, h = null, w = null] = x.shape;
  if (x.shape.length !== 4 || block < 1 || (h ?? 0) % block !== 0 || (w ?? 0) % block !== 0)
    context.mismatch('[N, C, H, W] with H and W multiples of the block is needed');
  const times = (size: number | null, factor: number) => (size === null ? null : size * factor);
  return [{ type: x.type, shape: [n, times(c, block * block), times(h, 1 / block), times(w, 1 / block)] }];
}

function reduce(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const given = known(context, axesOperand(context, x.shape.length));
  if (given === null && intAttribute(context.node, 'noop_with_empty_axes', 0) !== 0) return [x];
  const axes = given ?? x.shape.map((_, i) => i);
  const keep = intAttribute(context.node, 'keepdims', 1) !== 0;
  const shape = keep ? x.shape.map((size, i) => (axes.includes(i) ? 1 : size)) : x.shape.filter((_, i) => !axes.includes(i));
  return [{ type: x.type, shape }];
}

function shapeOf(context: ShapeContext): TensorType[] {
  const rank = context.input(0).shape.length;
  const bound = (at: number) => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
  const size = bound(intAttribute(context.node, 'end', rank)) - bound(intAttribute(context.node, 'start', 0));
  return [{ type: 'int64', shape: [Math.max(0, size)] }];
}

function gather(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const indices = context.input(1);
  const axis = resolveAxis(intAttribute(context.node, 'axis', 0), x.shape.length) ?? context.mismatch('axis is out of range');
  return [{ type: x.type, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
}

function expand(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const target = context.constant(1);
  const sizes = (target && integerValues(target)) ?? context.unsupported('a target shape that is computed while the model runs');
  return [{ type: x.type, shape: broadcast(x.shape, sizes) ?? context.mismatch('the shapes do not broadcast') }];
}

function constantOfShape(context: ShapeContext): TensorType[] {
  const target = context.constant(0);
  const sizes = (target && integerValues(target)) ?? context.unsupported('a shape that is computed while the model runs');
  const value = context.node.attributes.value;
  return [{ type: value?.kind === 'tensor' ? value.value.type : 'float32', shape: sizes }];
}

function range(context: ShapeContext): TensorType[] {
  const [start, limit, delta] = [0, 1, 2].map((i) => Number(context.constant(i)?.data[0] ?? context.unsupported('computed bounds')));
  const count = Math.ceil(((limit ?? 0) - (start ?? 0)) / (delta ?? 1));
  return [{ type: context.input(0).type, shape: [Math.max(0, count)] }];
}

function layerNormalization(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const axis = resolveAxis(intAttribute(context.node, 'axis', -1), x.shape.length) ?? context.mismatch('axis is out of range');
  if (floatAttribute(context.node, 'epsilon', 1e-5) < 0) context.mismatch('epsilon is negative');
  const statistics: TensorType = { type: 'float32', shape: x.shape.map((size, i) => (i < axis ? size : 1)) };
  return [x, statistics, statistics].slice(0, context.node.outputs.length);
}

export const STRUCTURE_SHAPES: ShapeRules = {
  Slice: slice,
  Split: split,
  Pad: pad,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Resize: resize,
  Upsample: resize,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  ReduceMean: reduce,
  ReduceSum: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  Shape: shapeOf,
  Gather: gather,
  Expand: expand,
  ConstantOfShape: constantOfShape,
  Range: range,
  LayerNormalization: layerNormalization,
};
