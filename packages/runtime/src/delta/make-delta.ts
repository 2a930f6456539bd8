import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { compressSmall } from '../package/compress.ts';
import { encodeVcdiff } from './encode-vcdiff.ts';

export interface MakeDeltaOptions {
  base: string;
  target: string;
  /** Where the patch is written; an existing file is replaced. It is synced, and for the caller to rename. */
  patch: string;
  /** A patch that would be larger is given up. */
  maxBytes: number;
}

/** Of the target; what a device holds of it while it applies the patch. */
const WINDOW_BYTES = 1024 * 1024;
/** Pieces of the difference that are compressed together. */
const FRAME_BYTES = 1024 * 1024;

/**
 * Writes what makes a file of another one: VCDIFF (RFC 3284) in zstd frames. The same files give the same bytes. Takes the base's
 * size and a quarter of it in memory, and blocks: to be called in a process of its own.
 *
 * @returns bytes of the patch; undefined when it would have had more than `maxBytes`. Then what is written is of no use.
 * @throws AppError FILE_UNREADABLE (user).
 */
export async function makeDelta({ base, target, patch, maxBytes }: MakeDeltaOptions): Promise<number | undefined> {
  const bytes = await readFile(base).catch((cause: unknown) => {
    throw new AppError('FILE_UNREADABLE', { message: `${base} cannot be read.` }, { cause });
  });
  const file = await open(patch, 'w');
  try {
    const windows = inPieces(createReadStream(target, { highWaterMark: WINDOW_BYTES }), WINDOW_BYTES);
    let size = 0;
    for await (const piece of inPieces(encodeVcdiff(bytes, windows), FRAME_BYTES)) {
      const frames = await compressSmall(piece);
      size += frames.length;
      if (size > maxBytes) return undefined;
      await file.writeFile(frames);
    }
    await file.sync();
    return size;
  } finally {
    await file.close();
  }
}

/** The same bytes in pieces of this size; the last one may be smaller. */
async function* inPieces(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0);
  for await (const chunk of source) {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    let at = 0;
    for (; held.length - at >= size; at += size) yield held.subarray(at, at + size);
    held = held.subarray(at);
  }
  if (held.length > 0) yield held;
}
