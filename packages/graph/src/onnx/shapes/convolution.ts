import { intAttribute, intsAttribute } from '../model.ts';
import { fits, type ShapeContext, type ShapeRules, type TensorType } from './rule.ts';
import { transposedWindowOf, type Window, windowOf } from './window.ts';

function slide(context: ShapeContext, x: TensorType, kernel: readonly number[]): Window {
  const window = windowOf(context.node, x.shape.slice(2), kernel);
  return typeof window === 'string' ? context.mismatch(window) : window;
}

function conv(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const w = context.input(1);
  const bias = context.optional(2);
  const groups = intAttribute(context.node, 'group', 1);
  if (x.shape.length < 3 || x.shape.length !== w.shape.length) context.mismatch('input and weights must have the same rank of at least 3');
  const [batch = null, channels = null] = x.shape;
  const [filters = null, perGroup = null, ...kernel] = w.shape;
  if (filters === null || perGroup === null) context.unsupported('weights of unknown size');
  if (groups < 1 || filters % groups !== 0 || !fits(channels, perGroup * groups)) {
    context.mismatch(`the input must have ${perGroup} x ${groups} channels and ${filters} filters must divide into ${groups} groups`);
  }
  if (bias && !(bias.shape.length === 1 && fits(bias.shape[0], filters))) context.mismatch(`the bias must have the shape [${filters}]`);
  const sizes = kernel.map((size) => size ?? context.unsupported('a kernel of unknown size'));
  return [{ type: x.type, shape: [batch, filters, ...slide(context, x, sizes).output] }];
}

function pool(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  if (x.shape.length < 3) context.mismatch('pooling needs [N, C, ...spatial]');
  const kernel = intsAttribute(context.node, 'kernel_shape') ?? context.mismatch('kernel_shape is missing');
  const shape = [...x.shape.slice(0, 2), ...slide(context, x, kernel).output];
  const indices: TensorType = { type: 'int64', shape };
  return [{ type: x.type, shape }, indices].slice(0, context.node.outputs.length);
}

function convTranspose(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  const w = context.input(1);
  const groups = intAttribute(context.node, 'group', 1);
  if (x.shape.length < 3 || x.shape.length !== w.shape.length) context.mismatch('input and weights must have the same rank of at least 3');
  const [batch = null, channels = null, ...input] = x.shape;
  const [inputs = null, perGroup = null, ...kernel] = w.shape;
  if (perGroup === null || kernel.includes(null)) context.unsupported('weights of unknown size');
  if (groups < 1 || !fits(channels, inputs) || (channels ?? 0) % groups !== 0)
    context.mismatch(`${channels} channels do not fit the weights`);
  const window = transposedWindowOf(
    context.node,
    input,
    kernel.map((size) => size ?? 1),
  );
  if (typeof window === 'string') context.mismatch(window);
  return [{ type: x.type, shape: [batch, perGroup * groups, ...window.output] }];
}

function globalPool(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  if (x.shape.length < 3) context.mismatch('pooling needs [N, C, ...spatial]');
  return [{ type: x.type, shape: x.shape.map((size, i) => (i < 2 ? size : 1)) }];
}

function batchNormalization(context: ShapeContext): TensorType[] {
  const x = context.input(0);
  if (context.node.outputs.filter((name) => name !== '').length > 1)
    context.unsupported('more than one output (an unfinished training model)');
  if (x.shape.length < 2) context.mismatch('the input must have channels: [N, C, ...]');
  for (const index of [1, 2, 3, 4]) {
    const { shape } = context.input(index);
    if (shape.length !== 1 || !fits(shape[0], x.shape[1]))
      context.mismatch('scale, bias, mean and variance must have one value per channel');
  }
  return [x];
}

export const CONVOLUTION_SHAPES: ShapeRules = {
  Conv: conv,
  MaxPool: pool,
  AveragePool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  ConvTranspose: convTranspose,
  BatchNormalization: batchNormalization,
};
