import { intAttribute, intsAttribute } from '../../onnx/index.ts';
import { windowOf } from '../../onnx/shapes/window.ts';
import type { Window2d } from '../ir.ts';
import type { LowerRules, NodeContext } from '../node-context.ts';
import { pair, sides, withHeight, withoutHeight } from '../spatial.ts';
import { NHWC, type TensorView, viewOf } from '../tensor-view.ts';

interface Pool {
  readonly window: Window2d;
  readonly x: TensorView;
  /** Height and width of the input, N, C, height and width of the result. */
  readonly input: readonly [number, number];
  readonly output: readonly [number, number, number, number];
  readonly rank: number;
}

/** The window with its pads at the end grown so that rounding down gives the size that the model says (`ceil_mode`). */
function reaching(window: Window2d, input: readonly number[], output: readonly number[]): Window2d {
  const [top, right, bottom, left] = window.pads;
  const missing = (axis: 0 | 1, begin: number, end: number) => {
    const effective = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
    const span = ((output[axis] ?? 1) - 1) * window.strides[axis] + effective;
    return Math.max(0, span - ((input[axis] ?? 1) + begin + end));
  };
  return { ...window, pads: [top, right + missing(1, left, right), bottom + missing(0, top, bottom), left] };
}

function poolOf(context: NodeContext): Pool {
  const shape = context.shape(0);
  if (shape.length < 3 || shape.length > 4) context.unsupported(`${shape.length - 2} spatial dimensions`);
  const kernel = intsAttribute(context.node, 'kernel_shape') ?? context.unsupported('no kernel_shape');
  const found = windowOf(context.node, shape.slice(2), kernel);
  if (typeof found === 'string') context.unsupported(found);
  const input = pair(shape.slice(2));
  const [n = 1, c = 1, ...rest] = context.outputShape();
  const output: Pool['output'] = [n, c, ...pair(rest)];
  const window = { kernel: pair(found.kernel), strides: pair(found.strides), dilations: pair(found.dilations), pads: sides(found.pads) };
  return { window, x: withHeight(context.view(0)), input, output, rank: shape.length };
}

const isSingle = ({ kernel }: Window2d): boolean => kernel[0] * kernel[1] === 1;
const isDense = ({ strides }: Window2d): boolean => strides[0] * strides[1] === 1;

/** A window of one element: it only leaves elements out, which a convolution with ones does too. */
function subsample(context: NodeContext, pool: Pool): void {
  const { builder, node } = context;
  const [n, c, h, w] = pool.output;
  if (pool.window.pads.some((pad) => pad > 0)) context.unsupported('pads around a window of one element');
  if (isDense(pool.window)) {
    context.give(node.outputs[0], withoutHeight(pool.x, pool.rank));
    return;
  }
  const x = context.arranged(context.inFloat(pool.x), NHWC);
  const y = builder.temporary(node.outputs[0] ?? '', [n, h, w, c]);
  const weights = builder.floats('ones', [1, 1, 1, c], new Float32Array(c).fill(1));
  const bias = builder.floats('zeros', [c], new Float32Array(c));
  const bounds = { min: -Infinity, max: Infinity };
  builder.ops.push({ op: 'depthwise2d', window: pool.window, x, weights, bias, y, bounds, inputs: c, multiplier: 1 });
  context.give(node.outputs[0], withoutHeight(viewOf(y, pool.output, NHWC), pool.rank));
}

function maxPool(context: NodeContext): void {
  if (context.node.outputs.length > 1 && context.node.outputs[1] !== '') context.unsupported('the indices of the largest elements');
  const pool = poolOf(context);
  if (isSingle(pool.window)) {
    subsample(context, pool);
    return;
  }
  const quant = context.quantOf(pool.x);
  const sink = context.sink({ clamp: quant === undefined, int8: false });
  const [n, c, h, w] = pool.output;
  const x = context.arranged(pool.x, NHWC);
  const y = context.builder.temporary(sink.names[0] ?? '', [n, h, w, c], quant);
  context.builder.ops.push({ op: 'maxPool2d', window: reaching(pool.window, pool.input, [h, w]), x, y, bounds: sink.bounds });
  context.give(sink, withoutHeight(viewOf(y, pool.output, NHWC), pool.rank));
}

function averagePool(context: NodeContext): void {
  const pool = poolOf(context);
  if (pool.window.dilations.some((dilation) => dilation !== 1)) context.unsupported('dilations');
  if (isSingle(pool.window)) {
    subsample(context, pool);
    return;
  }
  const { builder } = context;
  const [n, c, h, w] = pool.output;
  const sink = context.sink({ clamp: true, int8: false });
  let x = context.arranged(context.inFloat(pool.x), NHWC);
  let { window, input } = pool;
  const [top, right, bottom, left] = window.pads;
  if (intAttribute(context.node, 'count_include_pad', 0) !== 0 && window.pads.some((pad) => pad > 0)) {
    // Padding that counts becomes zeros; what `ceil_mode` adds behind them never counts.
    input = [input[0] + top + bottom, input[1] + left + right];
    const padded = builder.temporary('padded', [n, ...input, c]);
    builder.ops.push({ op: 'pad', before: [0, top, left, 0], after: [0, bottom, right, 0], value: 0, x, y: padded });
    x = padded;
    window = { ...window, pads: [0, 0, 0, 0] };
  }
  const y = builder.temporary(sink.names[0] ?? '', [n, h, w, c]);
  builder.ops.push({ op: 'averagePool2d', window: reaching(window, input, [h, w]), x, y, bounds: sink.bounds });
  context.give(sink, withoutHeight(viewOf(y, pool.output, NHWC), pool.rank));
}

function globalMaxPool(context: NodeContext): void {
  const shape = context.shape(0);
  if (shape.length < 3 || shape.length > 4) context.unsupported(`${shape.length - 2} spatial dimensions`);
  const view = withHeight(context.view(0));
  const [n = 1, c = 1, ...rest] = shape;
  const kernel = pair(rest);
  if (kernel[0] * kernel[1] === 1) {
    context.give(context.node.outputs[0], withoutHeight(view, shape.length));
    return;
  }
  const window: Window2d = { kernel, strides: kernel, dilations: [1, 1], pads: [0, 0, 0, 0] };
  const x = context.arranged(view, NHWC);
  const y = context.builder.temporary(context.node.outputs[0] ?? '', [n, 1, 1, c], context.quantOf(view));
  context.builder.ops.push({ op: 'maxPool2d', window, x, y, bounds: { min: -Infinity, max: Infinity } });
  context.give(context.node.outputs[0], withoutHeight(viewOf(y, [n, c, 1, 1], NHWC), shape.length));
}

export const POOLING_RULES: LowerRules = { MaxPool: maxPool, AveragePool: averagePool, GlobalMaxPool: globalMaxPool };
