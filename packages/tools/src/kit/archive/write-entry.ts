import { createWriteStream, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { type ArchiveGuard, isFileSystemError } from './archive-guard.ts';

export interface ArchiveEntry {
  readonly path: string;
  /** As the archive declares it. */
  readonly sizeBytes: number;
  /**
   * Opens the content. Called when everything is ready to read it: a damaged entry reports its error as soon as it is open,
   * and an error that nobody listens to would end the process.
   */
  open(): Promise<Readable>;
}

/**
 * Entries up to this are written in one go, and at once: for thousands of small pictures the set-up of a stream, or the way
 * through the thread pool, costs more than the bytes.
 */
const SMALL_ENTRY_BYTES = 1024 * 1024;

/** Writes one entry to its place; an entry that is there already (listed twice) is refused. */
export async function writeEntry(entry: ArchiveEntry, guard: ArchiveGuard, signal: AbortSignal): Promise<void> {
  const { path: entryPath, sizeBytes } = entry;
  const target = await guard.place(entryPath);
  const counted = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      guard.count(chunk.length);
      yield chunk;
    }
  };
  try {
    const content = await entry.open();
    if (sizeBytes > SMALL_ENTRY_BYTES) await pipeline(content, counted, createWriteStream(target, { flags: 'wx' }), { signal });
    else writeFileSync(target, await gather(counted(content)), { flag: 'wx' });
  } catch (error) {
    signal.throwIfAborted();
    const code = systemErrorCode(error);
    if (code === 'EEXIST' || code === 'EISDIR') throw guard.refuse(entryPath, 'a path twice');
    if (error instanceof AppError || isFileSystemError(error)) throw error;
    throw new AppError(
      'ARCHIVE_UNSAFE',
      { message: `The archive is damaged at ${JSON.stringify(entryPath.slice(0, 200))}.` },
      { cause: error },
    );
  }
}

async function gather(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
