import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';

/** Left free on the disk for everything else, such as the agent's own state. */
const RESERVE_BYTES = 4 * 1024 * 1024;
const MIB = 1024 * 1024;

/** What the files below a folder take; those that vanish meanwhile count nothing. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => ignoreMissing(error));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await folderBytes(path);
    else if (entry.isFile()) bytes += (await stat(path).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

function ignoreMissing(error: unknown): [] {
  if (systemErrorCode(error) === 'ENOENT') return [];
  throw error;
}

/**
 * Makes sure that what is to be fetched fits.
 *
 * @throws AppError DISK_FULL (operational), before anything is fetched.
 */
export async function needRoom(dir: string, budgetBytes: number | null, neededBytes: number): Promise<void> {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  if (budgetBytes !== null) {
    const usedBytes = await folderBytes(dir);
    if (usedBytes + neededBytes > budgetBytes)
      throw new AppError('DISK_FULL', {
        message: `No space left in the budget for it: it needs ${mib(neededBytes)} MiB more, and of ${mib(budgetBytes)} MiB for versions, spool and logs ${mib(usedBytes)} MiB are used. Nothing was fetched.`,
      });
  }
  const { bavail, bsize } = await statfs(dir);
  if (neededBytes + RESERVE_BYTES > bavail * bsize)
    throw new AppError('DISK_FULL', {
      message: `No space left for it: it needs ${mib(neededBytes)} MiB more, and ${mib(bavail * bsize)} MiB are free on the disk. Nothing was fetched.`,
    });
}
