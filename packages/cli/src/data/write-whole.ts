import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { explainDiskError, systemErrorCode } from '@selvedge/runtime';

/**
 * Writes a file that appears under its name only when `work` has ended well, and is on disk then.
 *
 * @throws AppError DISK_FULL, FILE_UNREADABLE (user) when it cannot be written; what `work` throws.
 */
export async function writeWhole<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const part = `${path}.part`;
  try {
    const file = await open(part, 'w');
    try {
      const done = await work(file);
      await file.sync();
      await rename(part, path);
      return done;
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(part, { force: true });
    const code = error instanceof AppError ? undefined : systemErrorCode(error);
    const disk = explainDiskError(error, path);
    if (code === undefined || disk !== error) throw disk;
    throw new AppError('FILE_UNREADABLE', { message: `${path} could not be written (${code}).` }, { cause: error });
  }
}

/** The same chunks, written to the file as they pass. */
export async function* alsoTo(file: FileHandle, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    await file.writeFile(chunk);
    yield chunk;
  }
}
