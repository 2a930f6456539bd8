import { intAttribute } from '../model.ts';
import { broadcast, resolveAxis, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';

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
};
