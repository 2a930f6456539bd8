import { stringAttribute } from '../../onnx/index.ts';
import { resizeTarget } from '../../onnx/shapes/operands.ts';
import type { LowerRules, NodeContext } from '../node-context.ts';
import { memoryOrder, NHWC, shapeOf, type TensorView, viewOf } from '../tensor-view.ts';

const LINEAR_MODES: Readonly<Record<string, 'halfPixel' | 'alignCorners' | 'asymmetric'>> = {
  half_pixel: 'halfPixel',
  pytorch_half_pixel: 'halfPixel',
  align_corners: 'alignCorners',
  asymmetric: 'asymmetric',
};

interface Target {
  readonly shape: readonly number[];
  readonly sizes: readonly number[];
  readonly scales: readonly number[];
  readonly coordinates: string;
}

function targetOf(context: NodeContext): Target {
  const shape = context.shape(0);
  const { node, opset } = context;
  const target = resizeTarget({ node, opset, constant: (index) => context.constant(index) }, shape);
  if (typeof target === 'string') context.unsupported(target);
  const early = node.op === 'Upsample' || opset < 11;
  const coordinates = early ? 'asymmetric' : stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  return { shape, ...target, coordinates };
}

function bilinear(context: NodeContext, { shape, sizes, scales, coordinates }: Target): void {
  const mode = LINEAR_MODES[coordinates] ?? context.unsupported(`the coordinate mode "${coordinates}"`);
  if (shape.length !== 4 || sizes[0] !== shape[0] || sizes[1] !== shape[1])
    context.unsupported('scaling of other dimensions than height and width');
  const exact = sizes.every((size, i) => Math.abs((shape[i] ?? 1) * (scales[i] ?? 1) - size) < 1e-3);
  if (!exact && mode !== 'alignCorners') context.unsupported('a scale that does not give a whole number of pixels');
  if (coordinates === 'pytorch_half_pixel' && sizes.slice(2).includes(1)) context.unsupported('"pytorch_half_pixel" down to one pixel');
  const [n = 1, c = 1, height = 1, width = 1] = sizes;
  const view = context.view(0);
  const x = context.arranged(view, NHWC);
  const y = context.builder.temporary(context.node.outputs[0] ?? '', [n, height, width, c], context.quantOf(view));
  context.builder.ops.push({ op: 'resizeBilinear', height, width, mode, x, y });
  context.give(context.node.outputs[0], viewOf(y, sizes, NHWC));
}

/** Each repetition is an operand of a Concat. */
const MAX_FACTOR = 64;

/** For each element of the result, the coordinate in the input that ONNX gives it. */
function coordinate(mode: string, at: number, input: number, output: number, scale: number): number {
  if (mode === 'half_pixel') return (at + 0.5) / scale - 0.5;
  if (mode === 'pytorch_half_pixel') return output > 1 ? (at + 0.5) / scale - 0.5 : 0;
  if (mode === 'align_corners') return output === 1 ? 0 : (at * (input - 1)) / (output - 1);
  return at / scale;
}

function nearestIndex(rounding: string, x: number): number {
  if (rounding === 'floor') return Math.floor(x);
  if (rounding === 'ceil') return Math.ceil(x);
  if (rounding === 'round_prefer_ceil') return Math.floor(x + 0.5);
  return Math.ceil(x - 0.5);
}

/** The whole factor by which every element of the dimension repeats; undefined when the result is anything else. */
function repetition(mode: string, rounding: string, input: number, output: number, scale: number): number | undefined {
  const factor = output / input;
  if (!Number.isInteger(factor) || factor > MAX_FACTOR) return undefined;
  for (let at = 0; at < output; at++) {
    const index = nearestIndex(rounding, coordinate(mode, at, input, output, scale));
    if (Math.min(Math.max(index, 0), input - 1) !== Math.floor(at / factor)) return undefined;
  }
  return factor;
}

/** Every element of a dimension `times` in a row: a new dimension behind it, filled by joining copies. */
function repeated(context: NodeContext, view: TensorView, axis: number, times: number): TensorView {
  const order = memoryOrder(view) ?? view.axes.map((_, i) => i);
  const x = context.moved(view, order);
  const shape = shapeOf(x);
  const at = order.indexOf(axis);
  const before = order.slice(0, at + 1).reduce((count, i) => count * (shape[i] ?? 1), 1);
  const after = order.slice(at + 1).reduce((count, i) => count * (shape[i] ?? 1), 1);
  const copies = new Array<number>(times).fill(context.builder.withDims(x.value, [before, 1, after]));
  const y = context.builder.concat(context.node.outputs[0] ?? '', 1, copies);
  return viewOf(
    y,
    shape.map((size, i) => (i === axis ? size * times : size)),
    order,
  );
}

function nearest(context: NodeContext, { shape, sizes, scales, coordinates }: Target): void {
  const early = context.node.op === 'Upsample' || context.opset < 11;
  const rounding = early ? 'floor' : stringAttribute(context.node, 'nearest_mode', 'round_prefer_floor');
  const factors = shape.map((size, i) => repetition(coordinates, rounding, size, sizes[i] ?? 1, scales[i] ?? 1));
  if (!factors.every((factor) => factor !== undefined))
    context.unsupported('nearest-neighbour scaling by other than whole factors up to 64');
  let view = context.view(0);
  // The inner dimensions first: fewer, longer copies.
  for (const [axis, factor] of [...factors.entries()].reverse()) if (factor > 1) view = repeated(context, view, axis, factor);
  context.give(context.node.outputs[0], view);
}

function resize(context: NodeContext): void {
  const target = targetOf(context);
  const mode = stringAttribute(context.node, 'mode', 'nearest');
  if (target.sizes.join() === target.shape.join()) context.give(context.node.outputs[0], context.view(0));
  else if (mode === 'nearest') nearest(context, target);
  else if (mode === 'linear' || mode === 'bilinear') bilinear(context, target);
  else context.unsupported(`the mode "${mode}"`);
}

export const RESIZE_RULES: LowerRules = { Resize: resize, Upsample: resize };
