import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode, writeFileAtomic } from '@selvedge/runtime';

const MAX_REASON_LENGTH = 500;
const lockPath = (dir: string) => join(dir, 'update.lock');

/** Why updates are locked on this device: the text of `update.lock`; null when there is none. */
export async function readUpdateLock(dir: string): Promise<string | null> {
  try {
    return (await readFile(lockPath(dir), 'utf8')).trim().slice(0, MAX_REASON_LENGTH);
  } catch (error) {
    const code = systemErrorCode(error);
    // What cannot be read is there.
    return code === 'ENOENT' ? null : `update.lock cannot be read (${code ?? 'unknown error'})`;
  }
}

/** Holds every change of a version until {@link unlockUpdates}. */
export async function lockUpdates(dir: string, reason: string): Promise<void> {
  await writeFileAtomic(lockPath(dir), `${reason.slice(0, MAX_REASON_LENGTH)}\n`);
}

/** @returns whether there was a lock. */
export async function unlockUpdates(dir: string): Promise<boolean> {
  const was = await readUpdateLock(dir);
  await rm(lockPath(dir), { force: true });
  return was !== null;
}
