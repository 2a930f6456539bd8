import { rm } from 'node:fs/promises';
import type { OpenedPackage } from '@selvedge/contract';
import { openedNames } from '../package/opened-layout.ts';
import { writeOpened } from '../package/write-opened.ts';
import { type MakeDeltaOptions, makeDelta } from './make-delta.ts';

/**
 * As `makeDelta`, between two archives of native packages: of their opened forms, which stand beside the patch while it is made.
 *
 * @returns undefined when the patch would have had more than `maxBytes`.
 * @throws AppError as `makeDelta` and `writeOpened` do.
 */
export async function makePackageDelta({
  base,
  target,
  patch,
  maxBytes,
}: MakeDeltaOptions): Promise<{ sizeBytes: number; opened: OpenedPackage } | undefined> {
  const [openedBase, openedTarget] = openedNames(patch);
  try {
    await writeOpened(base, openedBase);
    const opened = await writeOpened(target, openedTarget);
    const sizeBytes = await makeDelta({ base: openedBase, target: openedTarget, patch, maxBytes });
    return sizeBytes === undefined ? undefined : { sizeBytes, opened };
  } finally {
    for (const path of [openedBase, openedTarget]) await rm(path, { force: true });
  }
}
