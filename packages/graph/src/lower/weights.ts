import type { QuantParams } from './ir.ts';
import type { NodeContext, Sink } from './node-context.ts';
import type { Int8Constant } from './quantised.ts';
import type { TensorView } from './tensor-view.ts';

/** How the weights of a node go into the graph. */
export interface WeightLayout {
  readonly dims: readonly number[];
  /** For each element of the result, the element of the node's constant. */
  readonly indices: Int32Array;
  /** Dimension of the result that counts the outputs. */
  readonly channelAxis: number;
  readonly outputs: number;
  /** Dimension of the node's constant that int8 scales may belong to, and the entry of an output in it. */
  readonly scaleAxis: number;
  readonly scaleOf: (output: number) => number;
  /** Factor on every weight; int8 needs 1. */
  readonly factor: number;
  /** One value per output. */
  readonly bias: ArrayLike<number> | undefined;
}

/** Operands of a convolution or matrix product, all in float32 or all in int8. */
export interface LinearOperands {
  readonly sink: Sink;
  readonly x: TensorView;
  readonly weights: number;
  readonly bias: number;
}

/** Bounds of what engines can requantise by. */
const MIN_REQUANT = 2 ** -32;
const MAX_REQUANT = 256;

interface Int8Plan {
  readonly sink: Sink;
  readonly scales: Float32Array;
  readonly biasScales: Float32Array;
}

function int8Plan(context: NodeContext, layout: WeightLayout, input: QuantParams, weights: Int8Constant): Int8Plan | undefined {
  const sink = context.sink({ clamp: true, int8: true });
  const perTensor = weights.scales.length === 1;
  const symmetric = weights.zeroPoints.every((zero) => zero === 0);
  if (!sink.quant || !symmetric || layout.factor !== 1 || (!perTensor && weights.axis !== layout.scaleAxis)) return undefined;
  const output = sink.quant.scale;
  const scales = Float32Array.from({ length: layout.outputs }, (_, o) => weights.scales[perTensor ? 0 : layout.scaleOf(o)] ?? 1);
  const biasScales = scales.map((scale) => scale * input.scale);
  const fits = biasScales.every((scale) => scale / output >= MIN_REQUANT && scale / output < MAX_REQUANT && scale >= 1.2e-38);
  return fits ? { sink, scales, biasScales } : undefined;
}

const INT32_MAX = 0x7fffffff;

function int8Operands(context: NodeContext, x: TensorView, layout: WeightLayout, plan: Int8Plan, weights: Int8Constant): LinearOperands {
  const { builder, node } = context;
  const { outputs, channelAxis } = layout;
  const bias = Int32Array.from({ length: outputs }, (_, o) => {
    const steps = Math.round((layout.bias?.[o] ?? 0) / (plan.biasScales[o] ?? 1));
    return Math.min(Math.max(steps, -INT32_MAX), INT32_MAX);
  });
  return {
    sink: plan.sink,
    x,
    weights: builder.constant(node.inputs[1] ?? '', layout.dims, {
      type: 'qcint8',
      values: Int8Array.from(layout.indices, (index) => weights.data[index] ?? 0),
      scales: plan.scales,
      channelAxis,
    }),
    bias: builder.constant(node.inputs[2] ?? '', [outputs], { type: 'qcint32', values: bias, scales: plan.biasScales, channelAxis: 0 }),
  };
}

/** Writes weights and bias (inputs 1 and 2 of the node) into the graph: in int8 where input, weights and result allow it. */
export function linearOperands(context: NodeContext, x: TensorView, layout: WeightLayout): LinearOperands {
  const input = context.quantOf(x);
  const weights = input && context.int8Constant(1);
  const plan = input && weights && int8Plan(context, layout, input, weights);
  if (plan && weights) return int8Operands(context, x, layout, plan, weights);
  const { builder, node } = context;
  const { data } = context.floatConstant(1, 'weights');
  const { outputs, factor } = layout;
  return {
    sink: context.sink({ clamp: true, int8: false }),
    x: context.inFloat(x),
    weights: builder.floats(
      node.inputs[1] ?? '',
      layout.dims,
      Float32Array.from(layout.indices, (index) => (data[index] ?? 0) * factor),
    ),
    bias: builder.floats(
      node.inputs[2] ?? 'bias',
      [outputs],
      Float32Array.from({ length: outputs }, (_, o) => layout.bias?.[o] ?? 0),
    ),
  };
}
