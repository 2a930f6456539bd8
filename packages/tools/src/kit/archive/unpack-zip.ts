import { mkdir, readFile, stat } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { type Entry, fromBufferPromise, openPromise, type ZipFile } from 'yauzl';
import { ArchiveGuard, type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS, isFileSystemError } from './archive-guard.ts';
import { writeEntry } from './write-entry.ts';

const FILE_TYPE_MASK = 0o170000;
const REGULAR_FILE = 0o100000;
const FOLDER = 0o040000;
const MADE_ON_UNIX = 3;
/** Zips up to this are read at once: each entry of a larger one costs three reads, which for thousands of pictures add up to seconds. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;

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
  const { size } = await stat(zipPath);
  const guard = new ArchiveGuard(folder, size, limits);
  try {
    const options = { autoClose: false };
    const zip = size <= IN_MEMORY_BYTES ? await fromBufferPromise(await readFile(zipPath), options) : await openPromise(zipPath, options);
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
