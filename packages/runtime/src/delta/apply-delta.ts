import { createHash } from 'node:crypto';
import { createReadStream, readSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../atomic-file.ts';
import { decompressZstd } from '../package/zstd-stream.ts';
import { explainDiskError } from '../system-error.ts';
import { decodeVcdiff, patchDamaged, type ReadBase } from './decode-vcdiff.ts';

export interface ApplyDeltaOptions {
  /** The file that the patch was made against, or files that make it one after the other; nothing of it is trusted. */
  base: string | readonly string[];
  /** VCDIFF (RFC 3284) in zstd frames. */
  patch: string;
  /** Where the verified result goes; until then `destination.new` grows beside it. */
  destination: string;
  /** Of the result. */
  sha256: string;
  sizeBytes: number;
  signal?: AbortSignal;
}

const BASE_READ_BYTES = 1024 * 1024;

/** One file of the base, and where it begins. */
interface Part {
  handle: FileHandle;
  start: number;
  sizeBytes: number;
}

async function openParts(paths: readonly string[]): Promise<Part[]> {
  const parts: Part[] = [];
  try {
    let start = 0;
    for (const path of paths) {
      const handle = await open(path, 'r');
      const part = { handle, start, sizeBytes: 0 };
      parts.push(part);
      part.sizeBytes = (await handle.stat()).size;
      start += part.sizeBytes;
    }
    return parts;
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
}

async function closeParts(parts: readonly Part[]): Promise<void> {
  for (const { handle } of parts) await handle.close();
}

/** Copies follow each other in the base mostly, so that a few large reads serve them. */
function cachedReads(parts: readonly Part[]): ReadBase {
  const cache = Buffer.alloc(BASE_READ_BYTES);
  let start = 0;
  let filled = 0;
  return (at, into) => {
    if (into.length > BASE_READ_BYTES) return readWhole(parts, into, at);
    if (at < start || at + into.length > start + filled) {
      start = at;
      filled = readWhole(parts, cache, at);
    }
    const length = Math.min(into.length, start + filled - at);
    into.set(cache.subarray(at - start, at - start + length));
    return length;
  };
}

/** Synchronous: a window is decoded in one go, and these are a few milliseconds of it. */
function readWhole(parts: readonly Part[], into: Uint8Array, at: number): number {
  let filled = 0;
  for (const { handle, start, sizeBytes } of parts) {
    while (filled < into.length && at + filled >= start && at + filled < start + sizeBytes) {
      const wanted = Math.min(into.length - filled, start + sizeBytes - at - filled);
      const read = readSync(handle.fd, into, filled, wanted, at + filled - start);
      if (read === 0) return filled;
      filled += read;
    }
  }
  return filled;
}

/**
 * Makes a file from another one and a patch. It appears under its name only whole and verified. Memory stays flat, whatever
 * the sizes: a window of the patch and one of the base, a few megabytes.
 *
 * @throws AppError DIGEST_MISMATCH (operational) when the patch or the base is not what it should be, ARCHIVE_UNSAFE (user) when the
 *   patch is not zstd, DISK_FULL; the signal's reason when aborted. Nothing is left behind.
 */
export async function applyDelta(options: ApplyDeltaOptions): Promise<void> {
  const { base, destination, sha256 } = options;
  const temporary = `${destination}.new`;
  await mkdir(dirname(destination), { recursive: true });
  try {
    const source = await openParts(typeof base === 'string' ? [base] : base);
    try {
      const result = await open(temporary, 'w');
      try {
        const actual = await write(options, source, result);
        if (actual !== sha256) throw patchDamaged(`what it gives has sha256 ${actual}, expected ${sha256}`);
        await result.sync();
      } finally {
        await result.close();
      }
    } finally {
      await closeParts(source);
    }
    await rename(temporary, destination);
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainDiskError(error, destination);
  }
  await syncFolder(dirname(destination));
}

async function write({ patch, sizeBytes, signal }: ApplyDeltaOptions, source: readonly Part[], result: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  let done = 0;
  for await (const window of decodeVcdiff(decompressZstd(createReadStream(patch)), cachedReads(source))) {
    signal?.throwIfAborted();
    done += window.length;
    if (done > sizeBytes) throw patchDamaged(`it gives more than ${sizeBytes} bytes`);
    hash.update(window);
    for (let at = 0; at < window.length; ) at += (await result.write(window, at)).bytesWritten;
  }
  return hash.digest('hex');
}
