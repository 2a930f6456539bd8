import type { Model, TensorData } from '@selvedge/graph/onnx';

const buffer = new DataView(new ArrayBuffer(4));
/** The largest number of half precision. */
const HALF_MOST = 65_504;

/** The nearest number that IEEE half precision can hold (ties to even), as float32. */
export function roundToHalf(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const size = Math.abs(value);
  if (size >= 65_520) return Math.sign(value) * Number.POSITIVE_INFINITY;
  buffer.setFloat32(0, size);
  const exponent = Math.max(-14, ((buffer.getUint32(0) >>> 23) & 0xff) - 127);
  const unit = 2 ** (exponent - 10);
  const steps = size / unit; // exact: a power of two
  const below = Math.floor(steps);
  const rest = steps - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.sign(value) * (up ? below + 1 : below) * unit;
}

/** The bits of a number that half precision holds exactly (see roundToHalf). */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}

/** Whether no value is too large for half precision. */
export function fitsHalf(data: Float32Array): boolean {
  return data.every((value) => Math.abs(value) <= HALF_MOST);
}

/** The model with weights as half precision holds them: what an fp16 engine computes with, in a model that any engine runs. */
export function withHalfWeights(model: Model): Model {
  const rounded = (tensor: TensorData): TensorData =>
    tensor.type === 'float32' ? { ...tensor, data: Float32Array.from(tensor.data, roundToHalf) } : tensor;
  const initializers = new Map([...model.graph.initializers].map(([name, tensor]) => [name, rounded(tensor)]));
  return { ...model, graph: { ...model.graph, initializers } };
}
