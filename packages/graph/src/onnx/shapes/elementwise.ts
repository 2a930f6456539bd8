import { intAttribute } from '../model.ts';
import { broadcast, resolveAxis, type Shape, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';

function same(context: ShapeContext): TensorType[] {
  return [context.input(0)];
}

function binary(context: ShapeContext): TensorType[] {
  const a = context.input(0);
  const b = context.input(1);
  if (a.type !== b.type) context.mismatch(`the types ${a.type} and ${b.type} differ`);
  return [{ type: a.type, shape: broadcast(a.shape, b.shape) ?? context.mismatch('the shapes do not broadcast') }];
}

function softmax(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const fallback = context.opset < 13 ? 1 : -1;
  if (resolveAxis(intAttribute(context.node, 'axis', fallback), x.shape.length) === undefined) context.mismatch('axis is out of range');
  return [x];
}

function dropout(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const mask: TensorType = { type: 'bool', shape: x.shape };
  return [x, mask].slice(0, context.node.outputs.length);
}

function comparison(context: ShapeContext): TensorType[] {
  const shape = broadcast(context.input(0).shape, context.input(1).shape) ?? context.mismatch('the shapes do not broadcast');
  return [{ type: 'bool', shape }];
}

/** Max and Min: any number of operands. */
function variadic(context: ShapeContext): TensorType[] {
  const parts = context.node.inputs.map((_, i) => context.input(i));
  const first = context.input(0);
  if (parts.some((part) => part.type !== first.type)) context.mismatch('the types differ');
  const shape = parts.reduce<Shape>((sum, part) => broadcast(sum, part.shape) ?? context.mismatch('the shapes do not broadcast'), []);
  return [{ type: first.type, shape }];
}

/** The exponent of Pow may have another type than the base. */
function power(context: ShapeContext): TensorType[] {
  const base = context.input(0);
  return [{ type: base.type, shape: broadcast(base.shape, context.input(1).shape) ?? context.mismatch('the shapes do not broadcast') }];
}

function slope(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const slopes = context.input(1);
  if (broadcast(x.shape, slopes.shape)?.length !== x.shape.length) context.mismatch('the slopes do not broadcast to the input');
  return [x];
}

function where(context: ShapeContext): TensorType[] {
  const condition = context.input(0);
  const a = context.input(1);
  const both = broadcast(a.shape, context.input(2).shape);
  const shape = both && broadcast(condition.shape, both);
  return [{ type: a.type, shape: shape ?? context.mismatch('the shapes do not broadcast') }];
}

export const ELEMENTWISE_SHAPES: ShapeRules = {
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Relu: same,
  LeakyRelu: same,
  Sigmoid: same,
  Tanh: same,
  Clip: same,
  Identity: same,
  Softmax: softmax,
  LogSoftmax: softmax,
  Dropout: dropout,
  HardSwish: same,
  HardSigmoid: same,
  Elu: same,
  Gelu: same,
  Erf: same,
  Exp: same,
  Log: same,
  Sqrt: same,
  Softplus: same,
  Abs: same,
  Neg: same,
  Floor: same,
  Ceil: same,
  Round: same,
  Reciprocal: same,
  Not: same,
  PRelu: slope,
  Pow: power,
  Max: variadic,
  Min: variadic,
  Equal: comparison,
  Greater: comparison,
  Less: comparison,
  Where: where,
};
