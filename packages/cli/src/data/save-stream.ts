import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@selvedge/contract';
import { explainDiskError } from '@selvedge/runtime';

/** Writes a file that appears under its name only when it is whole. @throws AppError DISK_FULL, FILE_UNREADABLE. */
export async function saveStream(path: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array | string>): Promise<void> {
  const part = `${path}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(part, chunks);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    if (error instanceof AppError) throw error;
    const disk = explainDiskError(error, path);
    throw disk instanceof AppError ? disk : new AppError('FILE_UNREADABLE', { message: `${path} could not be written.` }, { cause: error });
  }
}
