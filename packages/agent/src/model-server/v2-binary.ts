import { AppError } from '@selvedge/contract';
import type { Tensor } from '@selvedge/graph/session';

// The protocol's bytes are little-endian, as is every machine that ONNX Runtime is made for: none is turned round here.

/** Request and response header of the binary tensor extension: how many bytes of the body are JSON. The rest is tensors. */
export const HEADER_LENGTH = 'inference-header-content-length';

/** As server metadata names the extension. */
export const BINARY_EXTENSION = 'binary_tensor_data';

/** Bytes of one element. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = { BOOL: 1, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, FP32: 4, FP16: 2 };

/**
 * Divides a body into its JSON and the tensors behind it.
 *
 * @param headerLength - value of the header; undefined: the body is JSON as a whole.
 * @throws AppError INPUT_INVALID (user) when the value is not a length within the body.
 */
export function splitBody(body: Buffer, headerLength: string | undefined): { json: Buffer; tensors: Buffer } {
  if (headerLength === undefined) return { json: body, tensors: body.subarray(body.length) };
  const length = /^\d{1,9}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (!(length <= body.length)) {
    throw new AppError('INPUT_INVALID', {
      message: `Inference-Header-Content-Length is not a length within the body, which has ${body.length} bytes.`,
    });
  }
  return { json: body.subarray(0, length), tensors: body.subarray(length) };
}

/** Gives out the tensors behind the JSON one after the other. */
export class BinaryTensors {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /**
   * The next tensor: little-endian, row-major, copied out of the body.
   *
   * @throws AppError INPUT_INVALID (user) when the body ends before it; SHAPE_MISMATCH (user) when its size is not that of its shape.
   */
  take(input: { name: string; datatype: string; shape: readonly number[] }, sizeBytes: number): Tensor {
    const { name, datatype, shape } = input;
    const expected = shape.reduce((product, edge) => product * edge, 1) * (ELEMENT_BYTES[datatype] ?? Number.NaN);
    if (sizeBytes !== expected) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `Input "${name}" of shape [${shape.join(', ')}] and type ${datatype} needs ${expected} bytes and has ${sizeBytes}.`,
      });
    }
    if (this.#at + sizeBytes > this.#bytes.length) {
      throw new AppError('INPUT_INVALID', { message: `The body ends before the ${sizeBytes} bytes of input "${name}".` });
    }
    const bytes = Uint8Array.from(this.#bytes.subarray(this.#at, this.#at + sizeBytes));
    this.#at += sizeBytes;
    return toTensor(name, datatype, [...shape], bytes.buffer);
  }

  /** @throws AppError INPUT_INVALID (user) when bytes are left that no input has claimed. */
  finish(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new AppError('INPUT_INVALID', { message: `${left} bytes behind the JSON belong to no input.` });
  }
}

function toTensor(name: string, datatype: string, dims: number[], bytes: ArrayBuffer): Tensor {
  switch (datatype) {
    case 'FP32':
      return { type: 'float32', dims, data: new Float32Array(bytes) };
    case 'FP16':
      return { type: 'float16', dims, data: new Uint16Array(bytes) };
    case 'INT32':
      return { type: 'int32', dims, data: new Int32Array(bytes) };
    case 'INT64':
      return { type: 'int64', dims, data: new BigInt64Array(bytes) };
    case 'INT8':
      return { type: 'int8', dims, data: new Int8Array(bytes) };
    case 'UINT8':
      return { type: 'uint8', dims, data: new Uint8Array(bytes) };
    case 'BOOL':
      return { type: 'bool', dims, data: new Uint8Array(bytes).map((value) => (value === 0 ? 0 : 1)) };
    default:
      throw new AppError('INPUT_INVALID', { message: `Input "${name}": tensors of type ${datatype} are not taken.` });
  }
}

/** The bytes of a tensor, for a response. */
export function tensorBytes(tensor: Tensor): Buffer {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return Buffer.from(buffer, byteOffset, byteLength);
}
