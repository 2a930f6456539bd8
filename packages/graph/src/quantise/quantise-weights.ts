import { float32Tensor, intAttribute, type Node, type TensorData } from '../onnx/index.ts';
import { roundHalfEven, toScale } from './affine.ts';

/** Weights are within -127..127: symmetric. */
export const LARGEST_WEIGHT = 127;
const LARGEST_INT32 = 2 ** 31 - 1;

/** Constants that a DequantizeLinear takes: the integers, a scale per entry of `axis`, zero points of 0. */
export interface ChannelConstants {
  readonly values: TensorData;
  readonly scales: TensorData;
  readonly zeroPoints: TensorData;
  readonly axis: number;
}

export interface QuantisedWeights {
  readonly weights: ChannelConstants;
  readonly bias: ChannelConstants | undefined;
}

/** Which dimension of the weights has a scale per entry. */
function channelAxis(node: Node): number {
  if (node.op === 'ConvTranspose' || node.op === 'MatMul') return 1;
  return node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 0 ? 1 : 0;
}

type Float32 = Extract<TensorData, { type: 'float32' }>;

/** The index along `axis` of element i. */
function channelIndex(dims: readonly number[], axis: number): (i: number) => number {
  const inner = dims.slice(axis + 1).reduce((count, size) => count * size, 1);
  const size = dims[axis] ?? 1;
  return (i) => Math.floor(i / inner) % size;
}

/** One value per output: Gemm also takes one value for all. */
function spread(bias: Float32, outputs: number): Float32Array {
  return bias.data.length === outputs ? bias.data : new Float32Array(outputs).fill(bias.data[0] ?? 0);
}

/**
 * A scale per channel. It is never so small that the bias, whose scale is that of the input times this one, leaves
 * int32, nor that a whole int32 is less than one step of the output: engines refuse such scales, and such weights do not
 * count. A channel of zeros has the scale of the largest channel.
 */
function weightScales(largest: Float64Array, biases: readonly number[][], scales: { input: number; output: number }): Float32Array {
  const whole = largest.reduce((most, value) => Math.max(most, value), 0);
  const least = scales.output / scales.input / LARGEST_INT32;
  return Float32Array.from(largest, (value, channel) => {
    const own = (value > 0 ? value : whole > 0 ? whole : LARGEST_WEIGHT) / LARGEST_WEIGHT;
    const bias = (biases[channel] ?? []).reduce((most, b) => Math.max(most, Math.abs(b)), 0);
    return toScale(Math.max(own, least, (bias / scales.input / LARGEST_INT32) * (1 + 2 ** -20)));
  });
}

/**
 * Weights as int8 in -127..127 with a scale per channel, and the bias as int32 with the product of the scales.
 *
 * @param scales - of the node's input and output.
 */
export function quantiseWeights(
  node: Node,
  weights: Float32,
  bias: Float32 | undefined,
  scales: { input: number; output: number },
): QuantisedWeights {
  const axis = channelAxis(node);
  const channels = weights.dims[axis] ?? 1;
  const channelOf = channelIndex(weights.dims, axis);
  const groups = node.op === 'ConvTranspose' ? intAttribute(node, 'group', 1) : 1;
  const largest = new Float64Array(channels);
  for (const [i, value] of weights.data.entries()) largest[channelOf(i)] = Math.max(largest[channelOf(i)] ?? 0, Math.abs(value));
  const biasValues = bias ? spread(bias, channels * groups) : undefined;
  // The groups of a ConvTranspose share their channels' scales.
  const biases = Array.from(largest, (_, channel) => Array.from({ length: groups }, (_, g) => biasValues?.[g * channels + channel] ?? 0));
  const weightScale = weightScales(largest, biases, scales);
  const values = Int8Array.from(weights.data, (value, i) => {
    const rounded = roundHalfEven(value / (weightScale[channelOf(i)] ?? 1));
    return Math.max(-LARGEST_WEIGHT, Math.min(LARGEST_WEIGHT, rounded));
  });
  return {
    weights: {
      values: { type: 'int8', dims: weights.dims, data: values },
      scales: float32Tensor([channels], weightScale),
      zeroPoints: { type: 'int8', dims: [channels], data: new Int8Array(channels) },
      axis,
    },
    bias: biasValues && quantiseBias(biasValues, weightScale, scales.input),
  };
}

function quantiseBias(bias: Float32Array, weightScale: Float32Array, inputScale: number): ChannelConstants {
  const { length } = bias;
  const scale = Float32Array.from(bias, (_, i) => toScale(inputScale * (weightScale[i % weightScale.length] ?? 1)));
  const values = Int32Array.from(bias, (value, i) => {
    const rounded = roundHalfEven(value / (scale[i] ?? 1));
    return Math.max(-LARGEST_INT32, Math.min(LARGEST_INT32, rounded));
  });
  return {
    values: { type: 'int32', dims: [length], data: values },
    scales: float32Tensor([length], scale),
    zeroPoints: { type: 'int32', dims: [length], data: new Int32Array(length) },
    axis: 0,
  };
}
