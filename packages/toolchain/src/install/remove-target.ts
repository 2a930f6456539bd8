import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '@selvedge/runtime';
import { findRecipe } from '../recipe.ts';
import { lockTargets } from './folder-lock.ts';
import { layoutOf } from './layout.ts';
import { discardDownloads, installedNames } from './prune.ts';
import { discardUnfinished } from './replace-folder.ts';
import { TARGETS_FILE, writeTargetsFile } from './targets-file.ts';

export interface RemoveResult {
  /** False when it was not installed. */
  removed: boolean;
  /** True when it was the last one: compiler and downloads went with it. */
  compilerRemoved: boolean;
}

/**
 * Removes a target. With the last one go the compiler and all that was downloaded.
 *
 * @throws AppError TARGET_UNKNOWN, DATA_FOLDER_LOCKED (user).
 */
export async function removeTarget(targetsDir: string, name: string, recipesDir?: string): Promise<RemoveResult> {
  await findRecipe(name, recipesDir);
  const layout = layoutOf(targetsDir);
  const unlock = await lockTargets(layout.root);
  try {
    const aside = layout.unfinished(`removed-${name}`);
    let removed = true;
    try {
      await rename(layout.target(name), aside); // nobody sees half of it
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      removed = false;
    }
    await discardUnfinished(layout.root);
    const isLast = removed && (await installedNames(layout)).length === 0;
    if (isLast) {
      await rm(join(layout.root, 'toolchain'), { recursive: true, force: true });
      await rm(layout.cache, { recursive: true, force: true });
      await rm(join(layout.root, TARGETS_FILE), { force: true });
    } else {
      await discardDownloads(layout);
      await writeTargetsFile(layout.root, recipesDir);
    }
    return { removed, compilerRemoved: isLast };
  } finally {
    await unlock();
  }
}
