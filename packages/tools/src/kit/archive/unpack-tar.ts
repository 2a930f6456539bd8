import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AppError } from '@selvedge/contract';
import { readTar, type TarEntry } from '@selvedge/runtime/tar';
import { ArchiveGuard, type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS, isFileSystemError } from './archive-guard.ts';
import { writeEntry } from './write-entry.ts';

/**
 * Unpacks a tar file, gzipped or not, into a folder of its own.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) for paths that leave the folder, links and special files, damage, and anything
 * beyond the limits.
 */
export async function unpackTar(
  tarPath: string,
  folder: string,
  options: { gzip: boolean; signal: AbortSignal; limits?: ArchiveLimits },
): Promise<void> {
  const { signal } = options;
  await mkdir(folder, { recursive: true });
  const guard = new ArchiveGuard(folder, (await stat(tarPath)).size, options.limits ?? DEFAULT_ARCHIVE_LIMITS);
  try {
    for await (const entry of readTar(bytesOf(tarPath, options.gzip))) {
      signal.throwIfAborted();
      await unpackEntry(entry, guard, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError || isFileSystemError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('ARCHIVE_UNSAFE', { message: `The tar file cannot be unpacked: ${reason.slice(0, 300)}` }, { cause: error });
  }
}

async function* bytesOf(tarPath: string, gzip: boolean): AsyncGenerator<Uint8Array> {
  const file = createReadStream(tarPath);
  const source: Readable = gzip ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => source.destroy(error));
  try {
    yield* source;
  } finally {
    file.destroy();
  }
}

async function unpackEntry({ header, content }: TarEntry, guard: ArchiveGuard, signal: AbortSignal): Promise<void> {
  const { name, type, size } = header;
  if (type === 'directory') {
    await mkdir(await guard.place(name), { recursive: true });
    return;
  }
  if (type !== 'file' && type !== 'contiguous-file') throw guard.refuse(name, `a ${type} entry`);
  await writeEntry({ path: name, sizeBytes: size, open: async () => content }, guard, signal);
}
