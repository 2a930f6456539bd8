import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { MAX_HEADER_BYTES, parseNpyHeader } from '../../npy/index.ts';

interface ElementType {
  readonly bytes: number;
  read(view: DataView, offset: number): number;
}

/** NumPy's little-endian numbers, as JavaScript's. Sixty-four bits are rounded beyond 2^53, which labels and features do not reach. */
const ELEMENT_TYPES: Readonly<Record<string, ElementType>> = {
  '|b1': { bytes: 1, read: (view, at) => view.getUint8(at) },
  '|u1': { bytes: 1, read: (view, at) => view.getUint8(at) },
  '|i1': { bytes: 1, read: (view, at) => view.getInt8(at) },
  '<u2': { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  '<i2': { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  '<u4': { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  '<i4': { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  '<u8': { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) },
  '<i8': { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  '<f4': { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  '<f8': { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** An array of a NumPy file by rows: memory does not grow with the file. */
export class NpzArray {
  readonly name: string;
  readonly descr: string;
  readonly shape: readonly number[];
  /** Values per row. */
  readonly rowLength: number;
  readonly #path: string;
  readonly #type: ElementType;
  readonly #dataOffset: number;

  private constructor(
    path: string,
    name: string,
    header: { descr: string; shape: readonly number[]; dataOffset: number },
    type: ElementType,
  ) {
    this.#path = path;
    this.name = name;
    this.descr = header.descr;
    this.shape = header.shape;
    this.rowLength = header.shape.slice(1).reduce((product, dim) => product * dim, 1);
    this.#type = type;
    this.#dataOffset = header.dataOffset;
  }

  get count(): number {
    return this.shape[0] ?? 0;
  }

  /** @throws AppError DATASET_FORMAT (user), naming `name`, for objects, text, big-endian numbers, Fortran order, a cut file. */
  static async open(path: string, name: string): Promise<NpzArray> {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0);
      const header = parseNpyHeader(buffer.subarray(0, bytesRead));
      const refuse = (why: string) => new AppError('DATASET_FORMAT', { message: `${name} cannot be read: ${why}.` });
      const type = ELEMENT_TYPES[header.descr];
      if (type === undefined) throw refuse(`its element type ${JSON.stringify(header.descr)} is not a little-endian number`);
      if (header.fortranOrder && header.shape.length > 1) throw refuse('it is in Fortran order; save it with numpy.ascontiguousarray');
      if (header.shape.length === 0) throw refuse('it is a single value');
      const expected = header.dataOffset + header.shape.reduce((product, dim) => product * dim, type.bytes);
      const { size } = await file.stat();
      if (size !== expected) throw refuse(`it has ${size} bytes and its header says ${expected}`);
      return new NpzArray(path, name, header, type);
    } finally {
      await file.close();
    }
  }

  /** Calls `take` for each row, in order, with its values; the array is used again for the next row. */
  async *rows(signal: AbortSignal): AsyncGenerator<Float64Array> {
    const rowBytes = this.rowLength * this.#type.bytes;
    const rowsAtOnce = Math.max(1, Math.min(this.count, Math.floor((1024 * 1024) / Math.max(1, rowBytes))));
    const buffer = Buffer.alloc(rowsAtOnce * rowBytes);
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const row = new Float64Array(this.rowLength);
    const file = await open(this.#path, 'r');
    try {
      for (let first = 0; first < this.count; first += rowsAtOnce) {
        signal.throwIfAborted();
        const count = Math.min(rowsAtOnce, this.count - first);
        await readFully(file, buffer.subarray(0, count * rowBytes), this.#dataOffset + first * rowBytes);
        for (let i = 0; i < count; i += 1) {
          for (let j = 0; j < this.rowLength; j += 1) row[j] = this.#type.read(view, i * rowBytes + j * this.#type.bytes);
          yield row;
        }
      }
    } finally {
      await file.close();
    }
  }

  /** The bytes of one row, for arrays of unsigned bytes. */
  async rowBytes(index: number): Promise<Buffer> {
    const bytes = Buffer.alloc(this.rowLength * this.#type.bytes);
    const file = await open(this.#path, 'r');
    return readFully(file, bytes, this.#dataOffset + index * bytes.length)
      .then(() => bytes)
      .finally(() => file.close());
  }
}

async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new AppError('DATASET_FORMAT', { message: 'A file became shorter while it was read.' });
    done += bytesRead;
  }
}
