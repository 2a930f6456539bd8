import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../atomic-file.ts';
import { sha256Hex } from '../digest.ts';
import { entryExists } from '../optional-file.ts';

/** Where a folder is to be: in which folder, under which name. */
export interface FolderPlace {
  readonly folder: string;
  readonly name: string;
}

const TRANSFER_NAME = /^\.selvedge-[0-9a-f]{32}\.(part|new|old|tar|tar\.part)$/;

/** Whether a file of this name belongs to a transfer that is under way, or was. */
export function isTransferName(name: string): boolean {
  return TRANSFER_NAME.test(name);
}

/** A hidden name beside the place, the same for each try. */
export function besideOf({ folder, name }: FolderPlace, ending: 'new' | 'old' | 'tar'): string {
  return join(folder, `.selvedge-${sha256Hex(name).slice(0, 32)}.${ending}`);
}

/**
 * Puts what is whole at `besideOf(place, 'new')` in the place; what was there before goes. At every moment the place holds the old or
 * the new, except between two renames, from where `settlePlace` goes on. To be called after `settlePlace` only: what is `old` then is
 * the sign that the new is whole.
 *
 * @returns where the old one is when it may not be removed; `settlePlace` tries again.
 */
export async function replaceFolder(place: FolderPlace): Promise<string | undefined> {
  const target = join(place.folder, place.name);
  if (await entryExists(target)) {
    await rename(target, besideOf(place, 'old'));
    await syncFolder(place.folder);
  }
  await rename(besideOf(place, 'new'), target);
  await syncFolder(place.folder);
  const old = besideOf(place, 'old');
  return rm(old, { recursive: true, force: true }).then(
    () => undefined,
    () => old, // the folder is in its place all the same
  );
}

/**
 * Finishes a replacement that was interrupted where the old is out of the way already, and otherwise clears away what it had begun.
 *
 * @returns whether anything was found, the folder itself or a trace of the replacement.
 */
export async function settlePlace(place: FolderPlace): Promise<boolean> {
  const [fresh, old, target] = [besideOf(place, 'new'), besideOf(place, 'old'), join(place.folder, place.name)];
  const [hasFresh, hasOld, hasTarget] = [await entryExists(fresh), await entryExists(old), await entryExists(target)];
  if (hasOld && !hasTarget) {
    await rename(hasFresh ? fresh : old, target);
    await syncFolder(place.folder);
  }
  await rm(fresh, { recursive: true, force: true });
  await rm(old, { recursive: true, force: true });
  return hasFresh || hasOld || hasTarget;
}
