import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AppError } from '@selvedge/contract';
import { type Extract, extract, type Header } from 'tar-stream';
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
  const tar = extract();
  tar.on('error', ignored);
  const feeding = feed(tar, tarPath, options.gzip);
  // The reader below meets the same failure; without a handler of its own this one would be reported as unhandled.
  feeding.catch(() => undefined);
  try {
    for await (const entry of tar) {
      signal.throwIfAborted();
      entry.on('error', ignored);
      await unpackEntry(entry.header, Readable.from(entry), guard, signal);
    }
    await feeding;
  } catch (error) {
    tar.destroy();
    signal.throwIfAborted();
    if (error instanceof AppError || isFileSystemError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('ARCHIVE_UNSAFE', { message: `The tar file cannot be unpacked: ${reason.slice(0, 300)}` }, { cause: error });
  }
}

/** Errors reach the loop that reads; as events without a listener they would end the process. */
function ignored(): void {}

/** Writes the file into the tar reader by hand: the reader is not one of Node's own streams. */
async function feed(tar: Extract, tarPath: string, gzip: boolean): Promise<void> {
  const file = createReadStream(tarPath);
  const source: Readable = gzip ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => source.destroy(error));
  try {
    for await (const chunk of source) {
      if (tar.destroyed) return;
      if (!tar.write(chunk)) await drained(tar);
    }
    tar.end(null);
  } catch (error) {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    file.destroy();
  }
}

function drained(tar: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      tar.off('drain', done);
      tar.off('close', done);
      resolve();
    };
    tar.on('drain', done);
    tar.on('close', done);
  });
}

async function unpackEntry({ name, type, size }: Header, content: Readable, guard: ArchiveGuard, signal: AbortSignal): Promise<void> {
  if (type === 'directory') {
    await mkdir(await guard.place(name), { recursive: true });
    content.resume();
    return;
  }
  if (type !== 'file' && type !== 'contiguous-file') throw guard.refuse(name, `a ${type} entry`);
  await writeEntry({ path: name, sizeBytes: size, open: async () => content }, guard, signal);
}
