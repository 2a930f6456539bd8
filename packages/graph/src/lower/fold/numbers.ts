import { type DataType, elementCount, type TensorData } from '../../onnx/index.ts';

/** A tensor's values as plain numbers. int64 values beyond ±2^53 lose their last digits; shapes never reach them. */
export function numbersOf(tensor: TensorData): Float64Array {
  if (tensor.type === 'int64' || tensor.type === 'uint64') return Float64Array.from(tensor.data, Number);
  return Float64Array.from(tensor.data);
}

const clampInt = (value: number): bigint => BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);

/** The other way round; undefined for the types that hold raw bits. */
export function tensorFrom(type: DataType, dims: readonly number[], values: ArrayLike<number>): TensorData | undefined {
  switch (type) {
    case 'float32':
      return { type, dims, data: Float32Array.from(values) };
    case 'float64':
      return { type, dims, data: Float64Array.from(values) };
    case 'int64':
      return { type, dims, data: BigInt64Array.from(Array.from(values, clampInt)) };
    case 'int32':
      return { type, dims, data: Int32Array.from(values) };
    case 'int8':
      return { type, dims, data: Int8Array.from(values) };
    case 'uint8':
      return { type, dims, data: Uint8Array.from(values) };
    case 'bool':
      return { type, dims, data: Uint8Array.from(values, (value) => (value ? 1 : 0)) };
    default:
      return undefined;
  }
}

/** Row-major strides in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  return dims.map((_, i) => elementCount(dims.slice(i + 1)));
}

/** For every element of `dims`, the element of a tensor with the given strides (0 along repeated dimensions) and offset. */
export function gatherIndices(dims: readonly number[], strides: readonly number[], offset = 0): Int32Array {
  const result = new Int32Array(elementCount(dims));
  const at = dims.map(() => 0);
  let source = offset;
  for (let i = 0; i < result.length; i++) {
    result[i] = source;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const next = (at[axis] ?? 0) + 1;
      source += strides[axis] ?? 0;
      if (next < (dims[axis] ?? 1)) {
        at[axis] = next;
        break;
      }
      source -= next * (strides[axis] ?? 0);
      at[axis] = 0;
    }
  }
  return result;
}

/** For each element of the permuted tensor, its element in a tensor of these dimensions. */
export function permutedIndices(dims: readonly number[], perm: readonly number[]): Int32Array {
  const strides = stridesOf(dims);
  return gatherIndices(
    perm.map((axis) => dims[axis] ?? 1),
    perm.map((axis) => strides[axis] ?? 0),
  );
}
