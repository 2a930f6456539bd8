import { intAttribute } from '../model.ts';
import { broadcast, fits, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';

function gemm(context: ShapeContext): TensorType[] {
  const a = context.input(0);
  const b = context.input(1);
  const c = context.optional(2);
  if (a.shape.length !== 2 || b.shape.length !== 2) context.mismatch('both factors must be matrices');
  const [m = null, k = null] = intAttribute(context.node, 'transA', 0) ? [a.shape[1], a.shape[0]] : a.shape;
  const [k2 = null, n = null] = intAttribute(context.node, 'transB', 0) ? [b.shape[1], b.shape[0]] : b.shape;
  if (!fits(k, k2)) context.mismatch(`the inner sizes ${k} and ${k2} differ`);
  const shape = [m, n];
  if (c && broadcast(c.shape, shape)?.length !== 2) context.mismatch('the third input does not broadcast to the result');
  return [{ type: a.type, shape }];
}

function matMul(context: ShapeContext): TensorType[] {
  const a = context.input(0);
  const b = context.input(1);
  if (a.shape.length < 2 || b.shape.length < 2) context.unsupported('a factor with fewer than 2 dimensions');
  const k = a.shape.at(-1);
  const k2 = b.shape.at(-2);
  if (!fits(k, k2)) context.mismatch(`the inner sizes ${k} and ${k2} differ`);
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)) ?? context.mismatch('the outer sizes do not broadcast');
  return [{ type: a.type, shape: [...batch, a.shape.at(-2) ?? null, b.shape.at(-1) ?? null] }];
}

export const LINEAR_SHAPES: ShapeRules = { Gemm: gemm, MatMul: matMul };
