import { intAttribute } from '../../onnx/index.ts';
import { transposedWindowOf, windowOf } from '../../onnx/shapes/window.ts';
import { permutedIndices } from '../fold/numbers.ts';
import type { LowerRules, NodeContext, Sink } from '../node-context.ts';
import { pair, sides, withHeight, withoutHeight } from '../spatial.ts';
import { NHWC, type TensorView, viewOf } from '../tensor-view.ts';
import { linearOperands } from '../weights.ts';

interface Shapes {
  /** [N, C, height, width]. */
  readonly output: readonly [number, number, number, number];
  readonly spatial: readonly number[];
  readonly kernel: readonly number[];
  readonly rank: number;
  readonly x: TensorView;
}

function shapesOf(context: NodeContext): Shapes {
  const shape = context.shape(0);
  const weights = context.shape(1);
  if (shape.length < 3 || shape.length > 4) context.unsupported(`${shape.length - 2} spatial dimensions`);
  const [n = 1, c = 1, ...rest] = context.outputShape();
  return {
    output: [n, c, ...pair(rest)],
    spatial: shape.slice(2),
    kernel: weights.slice(2),
    rank: shape.length,
    x: withHeight(context.view(0)),
  };
}

function biasOf(context: NodeContext): Float32Array | undefined {
  return context.has(2) ? context.floatConstant(2, 'biases').data : undefined;
}

/** Room for the result in the order N, H, W, C. */
function room(context: NodeContext, sink: Sink, [n, c, h, w]: Shapes['output']): number {
  return context.builder.temporary(sink.names[0] ?? '', [n, h, w, c], sink.quant);
}

function give(context: NodeContext, sink: Sink, y: number, shapes: Shapes): void {
  context.give(sink, withoutHeight(viewOf(y, shapes.output, NHWC), shapes.rank));
}

function conv(context: NodeContext): void {
  const shapes = shapesOf(context);
  const found = windowOf(context.node, shapes.spatial, shapes.kernel);
  if (typeof found === 'string') context.unsupported(found);
  const kernel = pair(found.kernel);
  const window = { kernel, strides: pair(found.strides), dilations: pair(found.dilations), pads: sides(found.pads) };
  const groups = intAttribute(context.node, 'group', 1);
  const [outputs = 1, groupInputs = 1] = context.shape(1);
  const depthwise = groups > 1 && groupInputs === 1;
  const perm = depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1];
  const dims = [outputs, groupInputs, ...kernel];
  const operands = linearOperands(context, shapes.x, {
    dims: perm.map((axis) => dims[axis] ?? 1),
    indices: permutedIndices(dims, perm),
    channelAxis: depthwise ? 3 : 0,
    outputs,
    scaleAxis: 0,
    scaleOf: (output) => output,
    factor: 1,
    bias: biasOf(context),
  });
  const { sink, weights, bias } = operands;
  const x = context.arranged(operands.x, NHWC);
  const y = room(context, sink, shapes.output);
  const common = { window, x, weights, bias, y, bounds: sink.bounds };
  if (depthwise) context.builder.ops.push({ op: 'depthwise2d', ...common, inputs: groups, multiplier: outputs / groups });
  else context.builder.ops.push({ op: 'conv2d', ...common, groups, groupInputs, groupOutputs: outputs / groups });
  give(context, sink, y, shapes);
}

function convTranspose(context: NodeContext): void {
  const shapes = shapesOf(context);
  const found = transposedWindowOf(context.node, shapes.spatial, shapes.kernel);
  if (typeof found === 'string') context.unsupported(found);
  const kernel = pair(found.kernel);
  const strides = pair(found.strides);
  const adjustment = pair(found.adjustment, 0);
  if (adjustment.some((size, i) => size >= (strides[i] ?? 1))) context.unsupported('output_padding that is not below the stride');
  const window = { kernel, strides, dilations: pair(found.dilations), pads: sides(found.pads) };
  const groups = intAttribute(context.node, 'group', 1);
  const [inputs = 1, groupOutputs = 1] = context.shape(1);
  const groupInputs = inputs / groups;
  const outputs = groupOutputs * groups;
  const { sink, weights, bias, ...operands } = linearOperands(context, shapes.x, {
    dims: [outputs, ...kernel, groupInputs],
    // [group, input, output, height, width] -> [group, output, height, width, input]
    indices: permutedIndices([groups, groupInputs, groupOutputs, ...kernel], [0, 2, 3, 4, 1]),
    channelAxis: 0,
    outputs,
    scaleAxis: 1,
    scaleOf: (output) => output % groupOutputs,
    factor: 1,
    bias: biasOf(context),
  });
  const x = context.arranged(operands.x, NHWC);
  const y = room(context, sink, shapes.output);
  context.builder.ops.push({
    op: 'deconv2d',
    window,
    adjustment,
    x,
    weights,
    bias,
    y,
    bounds: sink.bounds,
    groups,
    groupInputs,
    groupOutputs,
  });
  give(context, sink, y, shapes);
}

export const CONVOLUTION_RULES: LowerRules = { Conv: conv, ConvTranspose: convTranspose };
