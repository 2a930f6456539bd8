import { intAttribute, intsAttribute } from '../model.ts';
import { constantValue, integerValues } from '../tensor.ts';
import { fits, product, resolveAxis, type Shape, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';

function flatten(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const axis = intAttribute(context.node, 'axis', 1);
  const split = axis < 0 ? axis + x.shape.length : axis;
  if (split < 0 || split > x.shape.length) context.mismatch('axis is out of range');
  return [{ type: x.type, shape: [product(x.shape.slice(0, split)), product(x.shape.slice(split))] }];
}

/** Size of the -1 entry: what is left after the known ones, cancelling an unknown batch that both sides share. */
function inferred(context: ShapeContext, from: Shape, to: Shape): number | null {
  const unknown = to.filter((size) => size === null).length;
  const known = (shape: Shape) => shape.reduce<number>((count, size) => count * (size ?? 1), 1);
  if (from.filter((size) => size === null).length !== unknown) return null;
  const size = known(from) / known(to);
  return Number.isInteger(size) ? size : context.mismatch('the -1 entry has no whole size');
}

function reshape(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const value = context.constant(1);
  const target = value && integerValues(value);
  if (!target) context.unsupported('a target shape that is computed while the model runs');
  const copyZero = intAttribute(context.node, 'allowzero', 0) === 0;
  if (target.filter((size) => size === -1).length > 1 || target.some((size) => size < -1))
    context.mismatch(`[${target.join(', ')}] is no target shape`);
  const sizes = target.map((size, i) => {
    if (size !== 0 || !copyZero) return size;
    const copied = x.shape[i];
    return copied === undefined ? context.mismatch('a 0 in the target has no size to copy') : copied;
  });
  const open = sizes.indexOf(-1);
  const shape: Shape = open < 0 ? sizes : sizes.with(open, inferred(context, x.shape, sizes.toSpliced(open, 1)));
  if (!fits(product(x.shape), product(shape))) context.mismatch(`[${target.join(', ')}] has another number of elements`);
  return [{ type: x.type, shape }];
}

function transpose(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const perm = intsAttribute(context.node, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  const complete = x.shape.every((_, i) => perm.includes(i));
  if (perm.length !== x.shape.length || !complete) context.mismatch(`perm [${perm.join(', ')}] is no permutation of the axes`);
  return [{ type: x.type, shape: perm.map((axis) => x.shape[axis] ?? null) }];
}

function concat(context: ShapeContext): TensorType[] {
  const parts = context.node.inputs.map((_, i) => context.input(i));
  const first = context.input(0);
  const rank = first.shape.length;
  const axis = resolveAxis(intAttribute(context.node, 'axis', 0), rank) ?? context.mismatch('axis is out of range');
  const shape = [...first.shape];
  shape[axis] = 0;
  for (const part of parts) {
    if (part.shape.length !== rank || part.type !== first.type) context.mismatch('ranks or types differ');
    for (const [i, size] of part.shape.entries()) {
      const sum = shape[i] ?? null;
      if (i === axis) shape[i] = size === null || sum === null ? null : sum + size;
      else if (!fits(sum, size)) context.mismatch(`the sizes along axis ${i} differ`);
      else shape[i] = sum ?? size;
    }
  }
  return [{ type: first.type, shape }];
}

function constant(context: ShapeContext): TensorType[] {
  const value = constantValue(context.node) ?? context.unsupported('a constant that is neither a tensor nor numbers');
  return [{ type: value.type, shape: value.dims }];
}

export const LAYOUT_SHAPES: ShapeRules = { Flatten: flatten, Reshape: reshape, Transpose: transpose, Concat: concat, Constant: constant };
