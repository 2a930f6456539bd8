import { AppError } from '@selvedge/contract';
import type { DataType, TensorData } from './model.ts';
import { bytesOf, type Int64, type RawTensor } from './proto.ts';
import { bytesPerElement, elementCount, tensorFromBytes } from './tensor.ts';

/** TensorProto.DataType of the standard. Strings, complex and sub-byte types have no entry: they are refused. */
export const DATA_TYPE_CODES: Readonly<Record<DataType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};
const TYPE_BY_CODE = new Map<number, DataType>((Object.keys(DATA_TYPE_CODES) as DataType[]).map((type) => [DATA_TYPE_CODES[type], type]));

const MAX_RANK = 16;
const EXTERNAL = 1;

export function modelInvalid(message: string, cause?: unknown): AppError {
  return new AppError('MODEL_INVALID', { message, hint: 'Export the model to ONNX again and check it with another ONNX tool.' }, { cause });
}

/** The number nearest to a 64-bit integer that a double holds exactly. */
export function toSafeInteger(value: Int64 | undefined): number {
  const number = typeof value === 'number' ? value : (value?.toNumber() ?? 0);
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, number));
}

export function dataTypeOf(code: number, what: string): DataType {
  const type = TYPE_BY_CODE.get(code);
  if (type === undefined) {
    throw new AppError('OP_UNSUPPORTED', {
      message: `${what} has the ONNX data type ${code}, which is not supported.`,
      hint: `Supported: ${[...TYPE_BY_CODE.values()].join(', ')}.`,
    });
  }
  return type;
}

function readDims(raw: RawTensor, what: string): number[] {
  const dims = (raw.dims ?? []).map(toSafeInteger);
  if (dims.length > MAX_RANK) throw modelInvalid(`${what} has ${dims.length} dimensions; at most ${MAX_RANK} are allowed.`);
  if (dims.some((size) => size < 0) || !Number.isSafeInteger(elementCount(dims))) {
    throw modelInvalid(`${what} has the impossible shape [${dims.join(', ')}].`);
  }
  return dims;
}

const toBigInt = (value: Int64): bigint => BigInt(value.toString());

/** The values when they are in the typed fields (`float_data` and its kin) instead of `raw_data`. */
function typedFieldTensor(type: DataType, dims: readonly number[], raw: RawTensor): TensorData {
  const ints = raw.int32Data ?? [];
  switch (type) {
    case 'float32':
      return { type, dims, data: Float32Array.from(raw.floatData ?? []) };
    case 'float64':
      return { type, dims, data: Float64Array.from(raw.doubleData ?? []) };
    case 'int64':
      return { type, dims, data: BigInt64Array.from(raw.int64Data ?? [], toBigInt) };
    case 'uint64':
      return { type, dims, data: BigUint64Array.from(raw.uint64Data ?? [], toBigInt) };
    case 'uint32':
      return { type, dims, data: Uint32Array.from(raw.uint64Data ?? [], toSafeInteger) };
    case 'int32':
      return { type, dims, data: Int32Array.from(ints) };
    case 'int16':
      return { type, dims, data: Int16Array.from(ints) };
    case 'int8':
      return { type, dims, data: Int8Array.from(ints) };
    case 'uint8':
    case 'bool':
      return { type, dims, data: Uint8Array.from(ints) };
    case 'float16':
    case 'bfloat16':
    case 'uint16':
      return { type, dims, data: Uint16Array.from(ints) };
  }
}

/**
 * Checks and converts one TensorProto. `raw_data` is not copied where its alignment allows that.
 *
 * @throws AppError MODEL_INVALID when shape and data disagree or the data is in another file;
 *   OP_UNSUPPORTED for data types without an equivalent (strings, complex, 4-bit).
 */
export function readTensor(raw: RawTensor, what: string): TensorData {
  if (raw.dataLocation === EXTERNAL || (raw.externalData ?? []).length > 0) {
    throw new AppError('MODEL_INVALID', {
      message: `${what} keeps its values in another file ("external data").`,
      hint: 'Save the model as one file: onnx.save_model(model, path, save_as_external_data=False).',
    });
  }
  const type = dataTypeOf(raw.dataType ?? 0, what);
  const dims = readDims(raw, what);
  const count = elementCount(dims);
  const bytes = bytesOf(raw.rawData);
  if (bytes.byteLength > 0) {
    if (bytes.byteLength !== count * bytesPerElement(type)) {
      throw modelInvalid(
        `${what} has ${bytes.byteLength} bytes of data; [${dims.join(', ')}] ${type} needs ${count * bytesPerElement(type)}.`,
      );
    }
    return tensorFromBytes(type, dims, bytes);
  }
  const tensor = typedFieldTensor(type, dims, raw);
  if (tensor.data.length !== count) {
    throw modelInvalid(`${what} has ${tensor.data.length} values; the shape [${dims.join(', ')}] needs ${count}.`);
  }
  return tensor;
}
