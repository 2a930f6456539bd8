import { lstat, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { sha256Hex, systemErrorCode } from '@selvedge/runtime';
import type { PushCommand } from '../../ports/device-files.ts';
import type { Place } from './allowed-roots.ts';

/** Left free for everything else on the device. */
const SPARE_BYTES = 16 * 1024 * 1024;
const STALE_PART_MS = 7 * 86_400_000;
const PART = /^\.selvedge-[0-9a-f]{32}\.part$/;

/** The same for the same content and place, so that a later try finds it, also after a restart. */
export function partOf(place: Place, { file }: Pick<PushCommand, 'file'>): string {
  return join(place.folder, `.selvedge-${sha256Hex(`${place.name}\0${file.sha256}`).slice(0, 32)}.part`);
}

/** undefined when nothing is there; a link is not followed. */
export async function statPlace(place: Place) {
  try {
    return await lstat(place.path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes what earlier transfers to a folder have left there, and nobody has gone on with for a week. */
export async function removeStaleParts(folder: string, own: string): Promise<void> {
  const before = Date.now() - STALE_PART_MS;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (PART.test(name) && path !== own && (await stat(path)).mtimeMs < before) await rm(path, { force: true });
  }
}

/** @throws AppError DISK_FULL. */
export async function refuseWithoutSpace(path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  if (neededBytes + SPARE_BYTES <= free) return;
  throw new AppError('DISK_FULL', {
    message: `The transfer needs ${neededBytes} bytes and ${SPARE_BYTES} to spare; ${free} are free on the device.`,
  });
}
