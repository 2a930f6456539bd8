import type { TensorData } from '../onnx/index.ts';

/** Smallest and largest value of a tensor. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Element type of quantised activations. */
export type ActivationType = 'int8' | 'uint8';

/** real = (quantised - zeroPoint) * scale, for a whole tensor. */
export interface Affine {
  readonly type: ActivationType;
  /** A positive, finite, normal float32. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Twice the smallest normal number: kernels may flush smaller ones to zero, and engines refuse them. */
const SMALLEST_SCALE = 2 ** -125;
const LARGEST_SCALE = 3.4028234663852886e38;
const STEPS = 255;

/** The nearest float32 that can serve as a scale. */
export function toScale(value: number): number {
  return Math.fround(Math.min(Math.max(value, SMALLEST_SCALE), LARGEST_SCALE));
}

export const lowestOf = (type: ActivationType): number => (type === 'int8' ? -128 : 0);

/** Rounds halves to even, as ONNX asks of QuantizeLinear. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/**
 * Scale and zero point that spread 256 steps over a range. The range is widened to hold 0, which is always exact; a range
 * of nothing but 0 gets scale 1. No value in the range is off by more than half a scale (to float32 rounding).
 */
export function affineOf(range: Range, type: ActivationType): Affine {
  const low = Math.min(range.min, 0);
  const high = Math.max(range.max, 0);
  const scale = low === high ? 1 : toScale(high / STEPS - low / STEPS);
  const lowest = lowestOf(type);
  return { type, scale, zeroPoint: clamp(roundHalfEven(lowest - low / scale), lowest, lowest + STEPS) };
}

export function quantiseValue(value: number, { scale, zeroPoint, type }: Affine): number {
  const lowest = lowestOf(type);
  return clamp(roundHalfEven(value / scale) + zeroPoint, lowest, lowest + STEPS);
}

export const dequantiseValue = (value: number, { scale, zeroPoint }: Affine): number => (value - zeroPoint) * scale;

/** A tensor of the affine's element type. */
export function activationTensor(type: ActivationType, dims: readonly number[], values: Iterable<number>): TensorData {
  return type === 'int8' ? { type, dims, data: Int8Array.from(values) } : { type, dims, data: Uint8Array.from(values) };
}

/** A float32 tensor as quantised values. */
export function quantiseTensor(dims: readonly number[], data: Float32Array, affine: Affine): TensorData {
  return activationTensor(
    affine.type,
    dims,
    Array.from(data, (value) => quantiseValue(value, affine)),
  );
}
