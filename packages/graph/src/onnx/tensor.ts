import type { DataType, Node, TensorData } from './model.ts';

/** Number of elements of a shape. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((count, size) => count * size, 1);
}

export function float32Tensor(dims: readonly number[], data: Float32Array): TensorData {
  return { type: 'float32', dims, data };
}

export function int64Tensor(values: readonly number[], dims: readonly number[] = [values.length]): TensorData {
  return { type: 'int64', dims, data: BigInt64Array.from(values, (value) => BigInt(value)) };
}

const BYTES_PER_ELEMENT: Readonly<Record<DataType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
};

export function bytesPerElement(type: DataType): number {
  return BYTES_PER_ELEMENT[type];
}

/**
 * Puts little-endian bytes behind a typed array: without a copy where their alignment allows it.
 * The length of `bytes` must be a multiple of the element size.
 */
export function tensorFromBytes(type: DataType, dims: readonly number[], bytes: Uint8Array): TensorData {
  const size = bytesPerElement(type);
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset } = aligned;
  const length = bytes.byteLength / size;
  switch (type) {
    case 'float32':
      return { type, dims, data: new Float32Array(buffer, byteOffset, length) };
    case 'float64':
      return { type, dims, data: new Float64Array(buffer, byteOffset, length) };
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return { type, dims, data: new Uint16Array(buffer, byteOffset, length) };
    case 'int8':
      return { type, dims, data: new Int8Array(buffer, byteOffset, length) };
    case 'int16':
      return { type, dims, data: new Int16Array(buffer, byteOffset, length) };
    case 'int32':
      return { type, dims, data: new Int32Array(buffer, byteOffset, length) };
    case 'int64':
      return { type, dims, data: new BigInt64Array(buffer, byteOffset, length) };
    case 'uint8':
    case 'bool':
      return { type, dims, data: new Uint8Array(buffer, byteOffset, length) };
    case 'uint32':
      return { type, dims, data: new Uint32Array(buffer, byteOffset, length) };
    case 'uint64':
      return { type, dims, data: new BigUint64Array(buffer, byteOffset, length) };
  }
}

/** The values as little-endian bytes, sharing memory with the tensor. */
export function tensorBytes(tensor: TensorData): Uint8Array {
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
}

/** Integer values of an int64 or int32 tensor; undefined for every other type. */
export function integerValues(tensor: TensorData): number[] | undefined {
  if (tensor.type === 'int64') return Array.from(tensor.data, Number);
  if (tensor.type === 'int32') return Array.from(tensor.data);
  return undefined;
}

/** The value of a Constant node in any of its numeric forms; undefined for text and sparse ones. */
export function constantValue(node: Node): TensorData | undefined {
  const { value, value_float, value_floats, value_int, value_ints } = node.attributes;
  if (value?.kind === 'tensor') return value.value;
  if (value_float?.kind === 'float') return float32Tensor([], Float32Array.of(value_float.value));
  if (value_floats?.kind === 'floats') return float32Tensor([value_floats.value.length], Float32Array.from(value_floats.value));
  if (value_int?.kind === 'int') return int64Tensor([value_int.value], []);
  if (value_ints?.kind === 'ints') return int64Tensor(value_ints.value);
  return undefined;
}
