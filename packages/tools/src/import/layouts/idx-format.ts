import { AppError } from '@selvedge/contract';

const UNSIGNED_BYTE = 0x08;

export interface IdxArray {
  /** First dimension first. */
  readonly shape: readonly number[];
  /** Row by row. */
  readonly data: Uint8Array;
}

/**
 * Reads an IDX file of unsigned bytes (the form of MNIST and its relatives).
 *
 * @throws AppError DATASET_FORMAT (user), naming `fileName`, for another element type and when the size does not fit.
 * @see http://yann.lecun.com/exdb/mnist/ "THE IDX FILE FORMAT"
 */
export function decodeIdx(bytes: Uint8Array, fileName: string): IdxArray {
  const refuse = (why: string) => new AppError('DATASET_FORMAT', { message: `${fileName} is not a usable IDX file: ${why}.` });
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 4 || buffer.readUInt16BE(0) !== 0) throw refuse('it does not begin with two zero bytes');
  if (buffer.readUInt8(2) !== UNSIGNED_BYTE) throw refuse('its values are not unsigned bytes');
  const dimensions = buffer.readUInt8(3);
  const offset = 4 + 4 * dimensions;
  if (dimensions === 0 || buffer.length < offset) throw refuse('its header is cut');
  const shape = Array.from({ length: dimensions }, (_, i) => buffer.readUInt32BE(4 + 4 * i));
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (size !== buffer.length - offset) {
    throw refuse(`its header [${shape.join(', ')}] asks for ${size} bytes and ${buffer.length - offset} are there`);
  }
  return { shape, data: buffer.subarray(offset) };
}
