import { AppError } from '@selvedge/contract';

/** The element types that the tools exchange, with NumPy's name for them (little-endian). */
const NPY_TYPES = { float32: '<f4', int64: '<i8' } as const;
export type NpyType = keyof typeof NPY_TYPES;

export const NPY_ELEMENT_BYTES: Readonly<Record<NpyType, number>> = { float32: 4, int64: 8 };

export interface NpyHeader {
  readonly type: NpyType;
  /** C order; the first dimension counts the rows. */
  readonly shape: readonly number[];
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** Magic, two version bytes, the length of the text in two bytes. */
const PREFIX_BYTES = 10;
/** NumPy aligns the data to this, so that it can be mapped. */
const ALIGNMENT = 64;
/** The two length bytes of format 1.0 allow no more than this. */
export const MAX_HEADER_BYTES = PREFIX_BYTES + 0xffff;

const TEXT = /^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(((?:\d+,\s*)*\d*),?\s*\),?\s*\}\s*$/;

/**
 * The header of a .npy file, format 1.0, padded so that the data begins at a multiple of 64 bytes.
 *
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function encodeNpyHeader({ type, shape }: NpyHeader): Buffer {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${NPY_TYPES[type]}', 'fortran_order': False, 'shape': (${dims}), }`;
  const unpadded = PREFIX_BYTES + text.length + 1;
  const total = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.alloc(total, ' ');
  MAGIC.copy(header);
  header.writeUInt8(1, 6);
  header.writeUInt8(0, 7);
  header.writeUInt16LE(total - PREFIX_BYTES, 8);
  header.write(text, PREFIX_BYTES, 'latin1');
  header.write('\n', total - 1, 'latin1');
  return header;
}

export interface RawNpyHeader {
  /** NumPy's name of the element type: `<f4`, `|u1`, ... */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  readonly dataOffset: number;
}

/**
 * Reads a header of any element type from the first bytes of a file.
 *
 * @param bytes - at least the whole header; MAX_HEADER_BYTES always suffice.
 * @throws AppError DATASET_FORMAT (user) for what is not .npy, format 1.0.
 */
export function parseNpyHeader(bytes: Uint8Array): RawNpyHeader {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < PREFIX_BYTES || !buffer.subarray(0, MAGIC.length).equals(MAGIC)) throw unreadable('it is not a .npy file');
  if (buffer.readUInt8(6) !== 1) throw unreadable('only format 1.0 is read');
  const dataOffset = PREFIX_BYTES + buffer.readUInt16LE(8);
  if (dataOffset > buffer.length) throw unreadable('the header is cut');
  const match = TEXT.exec(buffer.toString('latin1', PREFIX_BYTES, dataOffset));
  if (match === null) throw unreadable('the header is not understood');
  const [, descr = '', fortran, dims = ''] = match;
  const shape = dims
    .split(',')
    .map((dim) => dim.trim())
    .filter((dim) => dim !== '')
    .map(Number);
  return { descr, fortranOrder: fortran === 'True', shape, dataOffset };
}

/**
 * Reads a header of the element types that the tools exchange.
 *
 * @param bytes - at least the whole header; MAX_HEADER_BYTES always suffice.
 * @returns the header and the offset of the data.
 * @throws AppError DATASET_FORMAT (user) for anything but format 1.0, C order, little-endian float32 or int64.
 */
export function decodeNpyHeader(bytes: Uint8Array): NpyHeader & { readonly dataOffset: number } {
  const { descr, fortranOrder, shape, dataOffset } = parseNpyHeader(bytes);
  const type = descr === NPY_TYPES.float32 ? 'float32' : descr === NPY_TYPES.int64 ? 'int64' : undefined;
  if (type === undefined) throw unreadable(`element type ${JSON.stringify(descr)} is not <f4 or <i8`);
  if (fortranOrder) throw unreadable('it is in Fortran order');
  if (shape.length === 0) throw unreadable('it is a single value without rows');
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(shape.reduce((product, dim) => product * dim, NPY_ELEMENT_BYTES[type]))) {
    throw unreadable('it is too large');
  }
  return { type, shape, dataOffset };
}

function unreadable(why: string): AppError {
  return new AppError('DATASET_FORMAT', { message: `The tensor file cannot be read: ${why}.` });
}
