import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { decodeNpyHeader, encodeNpyHeader, MAX_HEADER_BYTES, NPY_ELEMENT_BYTES, type NpyHeader, type NpyType } from './npy-header.ts';

/** Values of a type, in memory. All supported machines are little-endian, as the file is. */
export interface NpyArrays {
  float32: Float32Array;
  int64: BigInt64Array;
}

const MAKE_ARRAY: { [T in NpyType]: (length: number) => NpyArrays[T] } = {
  float32: (length) => new Float32Array(length),
  int64: (length) => new BigInt64Array(length),
};

/** Rows are gathered up to this before they are written. */
const WRITE_BUFFER_BYTES = 1024 * 1024;

function bytesOf(values: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function rowLength(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, dim) => product * dim, 1);
}

/** Rows of a .npy file by position: any row costs one read, whatever the size of the file. */
export class NpyReader<T extends NpyType> {
  readonly header: NpyHeader;
  /** Number of rows. */
  readonly count: number;
  /** Values per row. */
  readonly rowLength: number;
  readonly #type: T;
  readonly #file: FileHandle;
  readonly #dataOffset: number;

  constructor(file: FileHandle, type: T, header: NpyHeader, dataOffset: number) {
    this.header = header;
    this.count = header.shape[0] ?? 0;
    this.rowLength = rowLength(header.shape);
    this.#type = type;
    this.#file = file;
    this.#dataOffset = dataOffset;
  }

  /**
   * Reads `count` rows from row `start` on.
   *
   * @param into - where to; default a new array.
   * @returns rowLength * count values.
   */
  async readRows(start: number, count: number, into?: NpyArrays[T]): Promise<NpyArrays[T]> {
    if (start < 0 || count < 0 || start + count > this.count) {
      throw new RangeError(`Rows ${start}..${start + count} are outside 0..${this.count}`);
    }
    const length = count * this.rowLength;
    const values = into ?? MAKE_ARRAY[this.#type](length);
    if (values.length < length) throw new RangeError(`${length} values do not fit into ${values.length}`);
    const bytes = bytesOf(values).subarray(0, length * NPY_ELEMENT_BYTES[this.#type]);
    const from = this.#dataOffset + start * this.rowLength * NPY_ELEMENT_BYTES[this.#type];
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, from + done);
      if (bytesRead === 0) throw new AppError('DATASET_FORMAT', { message: 'The tensor file is shorter than its header says.' });
      done += bytesRead;
    }
    return values;
  }

  readAll(): Promise<NpyArrays[T]> {
    return this.readRows(0, this.count);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * Opens a .npy file of the given element type.
 *
 * @throws AppError DATASET_FORMAT (user) when it is something else, or cut.
 */
export async function openNpy<T extends NpyType>(path: string, type: T): Promise<NpyReader<T>> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0);
    const { dataOffset, ...header } = decodeNpyHeader(buffer.subarray(0, bytesRead));
    if (header.type !== type) throw new AppError('DATASET_FORMAT', { message: `${path} holds ${header.type}, expected ${type}.` });
    const expected = dataOffset + header.shape.reduce((product, dim) => product * dim, 1) * NPY_ELEMENT_BYTES[type];
    const { size } = await file.stat();
    if (size !== expected) throw new AppError('DATASET_FORMAT', { message: `${path} has ${size} bytes, its header says ${expected}.` });
    return new NpyReader(file, type, header, dataOffset);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Writes a .npy file row by row, with flat memory.
 *
 * Invariant: `close` succeeds only when exactly the promised number of values was written.
 */
export class NpyWriter<T extends NpyType> {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.alloc(WRITE_BUFFER_BYTES);
  #buffered = 0;
  #missingBytes: number;

  constructor(file: FileHandle, type: T, shape: readonly number[]) {
    this.#file = file;
    this.#missingBytes = shape.reduce((product, dim) => product * dim, NPY_ELEMENT_BYTES[type]);
  }

  /** Appends values: one row, several, or a part of one. */
  async write(values: NpyArrays[T]): Promise<void> {
    const bytes = bytesOf(values);
    this.#missingBytes -= bytes.length;
    if (this.#missingBytes < 0) throw new RangeError('More values than the shape of the file has');
    if (this.#buffered + bytes.length > this.#buffer.length) await this.#flush();
    if (bytes.length > this.#buffer.length) {
      await writeFully(this.#file, bytes);
      return;
    }
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  async close(): Promise<void> {
    try {
      await this.#flush();
      if (this.#missingBytes !== 0) throw new RangeError(`${this.#missingBytes} bytes are missing`);
    } finally {
      await this.#file.close();
    }
  }

  /** Gives the file up, after an error. */
  abandon(): Promise<void> {
    return this.#file.close();
  }

  async #flush(): Promise<void> {
    await writeFully(this.#file, this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
}

/** Creates a .npy file; @param shape - with the number of rows first. */
export async function createNpy<T extends NpyType>(path: string, type: T, shape: readonly number[]): Promise<NpyWriter<T>> {
  const file = await open(path, 'wx');
  try {
    await writeFully(file, encodeNpyHeader({ type, shape }));
    return new NpyWriter(file, type, shape);
  } catch (error) {
    await file.close();
    throw error;
  }
}
