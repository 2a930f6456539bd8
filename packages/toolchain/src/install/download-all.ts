import { mkdir, statfs } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { concurrently } from '../concurrently.ts';
import type { IndexedFile } from '../debian/control-file.ts';
import type { Mirror } from '../debian/mirror.ts';

const PARALLEL = 5;
/** Room besides what is known: indexes, objects, libraries that are built. */
const SLACK_BYTES = 200 * 1024 * 1024;

export interface WantedFile extends IndexedFile {
  /** Below the mirror. */
  readonly filename: string;
}

/** @throws AppError DISK_FULL (operational) when less than the files and what they unpack to is free. */
export async function checkSpace(folder: string, neededBytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const needed = neededBytes + SLACK_BYTES;
  if (free >= needed) return;
  const mib = (bytes: number) => Math.ceil(bytes / 1024 / 1024);
  throw new AppError('DISK_FULL', {
    message: `Installing needs about ${mib(needed)} MiB below ${folder}; ${mib(free)} MiB are free.`,
    hint: 'Free some space, or choose another folder with --data or SELVEDGE_TARGETS_DIR.',
  });
}

/**
 * Downloads files, several at a time, into a folder of files named by digest.
 *
 * @returns their paths, in the same order.
 */
export async function downloadAll(
  mirror: Mirror,
  files: readonly WantedFile[],
  folder: string,
  options: { signal?: AbortSignal; onProgress: (doneBytes: number, totalBytes: number, what: string) => void },
): Promise<string[]> {
  const total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const done = new Map<string, number>();
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  return concurrently(files, PARALLEL, async (file) => {
    const report = (bytes: number) => {
      done.set(file.sha256, bytes);
      options.onProgress(
        [...done.values()].reduce((sum, value) => sum + value, 0),
        total,
        file.filename.slice(file.filename.lastIndexOf('/') + 1),
      );
    };
    try {
      const path = await mirror.download(file.filename, file, folder, { signal, onProgress: report });
      report(file.sizeBytes);
      return path;
    } catch (error) {
      stop.abort(error); // what else is on its way goes on with the next try
      throw error;
    }
  });
}
