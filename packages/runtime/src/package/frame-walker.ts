import { AppError } from '@selvedge/contract';

/** Largest window that a frame may ask its reader to keep, in bytes. zstd's level 19 asks for 8 MiB. */
const MAX_WINDOW_BYTES = 32 * 1024 * 1024;
const FRAME_MAGIC = 0xfd2fb528;
/** RFC 8878: a block holds at most this much, compressed or not. */
const MAX_BLOCK_BYTES = 128 * 1024;
const LONGEST_HEADER = 18;

interface FrameHeader {
  lengthBytes: number;
  hasChecksum: boolean;
}

function unsafe(message: string): AppError {
  return new AppError('ARCHIVE_UNSAFE', { message: `The archive is not a zstd stream as packages have it: ${message}.` });
}

/** @returns undefined while there are too few bytes to tell. */
function readFrameHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.length < 6) return undefined;
  if (bytes.readUInt32LE(0) !== FRAME_MAGIC) throw unsafe('a frame has another magic number');
  const flags = bytes.readUInt8(4);
  if ((flags & 0b1000) !== 0 || (flags & 0b11) !== 0) throw unsafe('a frame uses a dictionary or a reserved flag');
  const isSingleSegment = (flags & 0b10_0000) !== 0;
  const sizeFlag = flags >> 6;
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 1 << sizeFlag;
  const at = isSingleSegment ? 5 : 6;
  if (bytes.length < at + sizeBytes) return undefined;
  let windowBytes: number;
  if (isSingleSegment) {
    const size = sizeBytes === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, sizeBytes);
    windowBytes = sizeFlag === 1 ? size + 256 : size;
  } else {
    const base = 2 ** (10 + (bytes.readUInt8(5) >> 3));
    windowBytes = base + (base / 8) * (bytes.readUInt8(5) & 7);
  }
  if (windowBytes > MAX_WINDOW_BYTES) throw unsafe(`a frame asks for a window of ${windowBytes} bytes`);
  return { lengthBytes: at + sizeBytes, hasChecksum: (flags & 0b100) !== 0 };
}

/**
 * Cuts a stream of zstd frames into pieces of at most one block, and refuses what would make a decompressor take much
 * memory: large windows, dictionaries, skippable frames. A block gives 128 KiB at most, so whoever consumes what came of
 * one piece before it asks for the next stays within that, whatever the stream claims.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878
 */
export class FrameWalker {
  /** Bytes of a header that is not whole yet. */
  #pending: Buffer = Buffer.alloc(0);
  #reading: 'frame' | 'block' | 'body' | 'checksum' = 'frame';
  /** What is left of the body or checksum. */
  #left = 0;
  #isLastBlock = false;
  #hasChecksum = false;

  /** @throws AppError ARCHIVE_UNSAFE (user). */
  *pieces(chunk: Uint8Array): Generator<Uint8Array> {
    const whole = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let rest = this.#pending.length === 0 ? whole : Buffer.concat([this.#pending, whole]);
    this.#pending = Buffer.alloc(0);
    while (rest.length > 0) {
      const taken = this.#reading === 'body' || this.#reading === 'checksum' ? this.#takeBody(rest) : this.#takeHeader(rest);
      if (taken === 0) {
        this.#pending = Buffer.from(rest);
        return;
      }
      yield rest.subarray(0, taken);
      rest = rest.subarray(taken);
    }
  }

  /** @throws AppError ARCHIVE_UNSAFE (user) when the stream ends within a frame. */
  end(): void {
    if (this.#reading !== 'frame' || this.#pending.length > 0) throw unsafe('it ends in the middle of a frame');
  }

  #takeHeader(rest: Buffer): number {
    if (this.#reading === 'frame') {
      const header = readFrameHeader(rest);
      if (header === undefined && rest.length >= LONGEST_HEADER) throw unsafe('a frame header is damaged');
      if (header === undefined) return 0;
      this.#hasChecksum = header.hasChecksum;
      this.#reading = 'block';
      return header.lengthBytes;
    }
    if (rest.length < 3) return 0;
    const word = rest.readUIntLE(0, 3);
    const type = (word >> 1) & 0b11;
    const size = word >> 3;
    if (type === 3 || size > MAX_BLOCK_BYTES) throw unsafe('a block is of a reserved kind or too large');
    this.#isLastBlock = (word & 1) === 1;
    this.#left = type === 1 ? 1 : size; // a run-length block has one byte, whatever it stands for
    this.#reading = 'body';
    if (this.#left === 0) this.#next();
    return 3;
  }

  #takeBody(rest: Buffer): number {
    const taken = Math.min(rest.length, this.#left);
    this.#left -= taken;
    if (this.#left === 0) this.#next();
    return taken;
  }

  #next(): void {
    if (this.#reading === 'body' && !this.#isLastBlock) this.#reading = 'block';
    else if (this.#reading === 'body' && this.#hasChecksum) {
      this.#reading = 'checksum';
      this.#left = 4;
    } else this.#reading = 'frame';
  }
}
