import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, systemErrorCode } from '@selvedge/runtime';
import { UNFINISHED } from './layout.ts';

/**
 * Puts a finished folder in its place. A folder that was there is moved aside first and deleted afterwards, so that no one
 * sees a mixture; after a crash in between, the next installation finds neither and makes it anew from the downloads.
 */
export async function replaceFolder(finished: string, place: string): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  const aside = `${finished}.old`;
  await rm(aside, { recursive: true, force: true });
  try {
    await rename(place, aside);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  await rename(finished, place);
  await syncFolder(dirname(place));
  await rm(aside, { recursive: true, force: true });
}

/** Deletes what broken-off installations left; the caller holds the lock. */
export async function discardUnfinished(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (name.startsWith(UNFINISHED)) await rm(join(root, name), { recursive: true, force: true });
  }
}
