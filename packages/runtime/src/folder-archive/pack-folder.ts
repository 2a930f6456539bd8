import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '../system-error.ts';
import { entryBytes, paddingOf, TAR_END } from '../ustar.ts';
import { archiveHeader } from './archive-header.ts';
import { type FolderEntry, unpackable } from './folder-entry.ts';
import { SMALL_FILE_BYTES } from './turns.ts';
import { type WalkOptions, walkFolder } from './walk-folder.ts';

const readAsync = promisify(read);
const CHUNK_BYTES = 256 * 1024;
/** Headers of small files are given out together with them. */
const BATCH_BYTES = 64 * 1024;

/**
 * A folder as a tar that depends on names, contents, links and permissions alone: the same folder gives the same bytes anywhere.
 *
 * @throws AppError FILE_UNREADABLE (user) for an entry that cannot be archived, or that becomes shorter meanwhile; PAYLOAD_TOO_LARGE
 *   (user) above 100,000 entries.
 */
export async function* packFolder(folder: string, options: WalkOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of piecesOf(folder, options)) {
    held.push(chunk);
    bytes += chunk.byteLength;
    if (bytes < BATCH_BYTES) continue;
    yield held.length === 1 ? chunk : Buffer.concat(held, bytes);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held, bytes);
}

/** Size and digest of what `packFolder` gives. @throws AppError as that does. */
export async function describeFolder(folder: string, options: WalkOptions = {}): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of packFolder(folder, options)) {
    hash.update(bytes);
    sizeBytes += bytes.byteLength;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Size of what `packFolder` gives, without reading any file. @throws AppError as that does. */
export async function measureFolder(folder: string, options: WalkOptions = {}): Promise<number> {
  let sizeBytes = TAR_END.byteLength;
  for await (const entry of walkFolder(folder, options)) sizeBytes += archiveHeader(entry).byteLength + contentBytes(entry);
  return sizeBytes;
}

/** Whether there is a folder that `packFolder` would make this of. */
export async function holdsFolder(
  folder: string,
  expected: { sha256: string; sizeBytes: number },
  options: WalkOptions = {},
): Promise<boolean> {
  try {
    if (!(await lstat(folder)).isDirectory() || (await measureFolder(folder, options)) !== expected.sizeBytes) return false;
    return (await describeFolder(folder, options)).sha256 === expected.sha256;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof AppError || systemErrorCode(error) === 'ENOENT') return false; // it has something that is in no archive
    throw error;
  }
}

function contentBytes({ sizeBytes }: FolderEntry): number {
  return entryBytes(sizeBytes) - entryBytes(0);
}

async function* piecesOf(folder: string, options: WalkOptions): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const entry of walkFolder(folder, options)) {
    if (entry.type === 'file') yield* fileOf(folder, entry, options.signal);
    else yield archiveHeader(entry);
  }
  yield TAR_END;
}

/** Of a file that grows, what it has when it is opened. */
async function* fileOf(folder: string, entry: FolderEntry, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  const file = openFile(join(folder, entry.path), entry.path);
  if (file === undefined) return;
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw unpackable(entry.path, 'is no file any more');
    const { size } = found;
    yield archiveHeader({ ...entry, sizeBytes: size });
    const isSmall = size <= SMALL_FILE_BYTES;
    for (let at = 0; at < size; ) {
      signal?.throwIfAborted();
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at));
      const bytesRead = isSmall
        ? readSync(file, buffer, 0, buffer.byteLength, at)
        : (await readAsync(file, buffer, 0, buffer.byteLength, at)).bytesRead;
      if (bytesRead === 0) throw unpackable(entry.path, 'has become shorter while it was packed');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    if (size > 0) yield Buffer.alloc(paddingOf(size));
  } finally {
    closeSync(file);
  }
}

/** undefined when it has gone away meanwhile. */
function openFile(source: string, path: string): number | undefined {
  try {
    // not blocking: opening a pipe would wait for its writer
    return openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES' || code === 'EPERM' || code === 'ELOOP') throw unpackable(path, `may not be read (${code})`);
    throw error;
  }
}
