import { mkdir, stat } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { ArchiveGuard, type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS, isFileSystemError } from './archive-guard.ts';
import { writeEntry } from './write-entry.ts';

const FILE_TYPE_MASK = 0o170000;
const REGULAR_FILE = 0o100000;
const FOLDER = 0o040000;
const MADE_ON_UNIX = 3;

/**
 * Unpacks a zip file into a folder of its own.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) for paths that leave the folder, links and special files, encrypted or damaged
 * entries, and anything beyond the limits.
 */
export async function unpackZip(
  zipPath: string,
  folder: string,
  signal: AbortSignal,
  limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const guard = new ArchiveGuard(folder, (await stat(zipPath)).size, limits);
  try {
    const zip = await openPromise(zipPath, { autoClose: false });
    try {
      for await (const entry of zip.eachEntry()) {
        signal.throwIfAborted();
        await unpackEntry(zip, entry, guard, signal);
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError || isFileSystemError(error)) throw error;
    // What is left comes from the zip reader, which checks paths, sizes and structure itself.
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('ARCHIVE_UNSAFE', { message: `The zip file cannot be unpacked: ${reason.slice(0, 300)}` }, { cause: error });
  }
}

async function unpackEntry(zip: ZipFile, entry: Entry, guard: ArchiveGuard, signal: AbortSignal): Promise<void> {
  const mode = entry.versionMadeBy >>> 8 === MADE_ON_UNIX ? (entry.externalFileAttributes >>> 16) & FILE_TYPE_MASK : 0;
  if (mode !== 0 && mode !== REGULAR_FILE && mode !== FOLDER) throw guard.refuse(entry.fileName, 'a link or special file');
  if (entry.fileName.endsWith('/')) {
    await mkdir(await guard.place(entry.fileName), { recursive: true });
    return;
  }
  if (!entry.canDecodeFileData()) throw guard.refuse(entry.fileName, 'an encrypted or unknown kind of entry');
  const open = () => zip.openReadStreamPromise(entry);
  await writeEntry({ path: entry.fileName, sizeBytes: entry.uncompressedSize, open }, guard, signal);
}
