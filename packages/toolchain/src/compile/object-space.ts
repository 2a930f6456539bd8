// Keeps the cache of compiled objects below a ceiling.
import { randomBytes } from 'node:crypto';
import { type Dirent, lstatSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { lockTargets } from '../install/folder-lock.ts';

const DEFAULT_OBJECT_CACHE_BYTES = 1024 ** 3;
const LIMIT_VARIABLE = 'SELVEDGE_OBJECT_CACHE_MIB';

/** Holding the lock takes as long as deleting files does. */
const LOCK_WAIT_MS = 60_000;
/** No compiler runs for so long: what is older was left by a process that is gone. */
const ABANDONED_MS = 3600_000;
/** Files take whole blocks. */
const BLOCK_BYTES = 4096;
const USERS = 'users';

/**
 * The ceiling of the object cache from the environment.
 *
 * @throws AppError USAGE (user) when the variable is not a whole number of MiB.
 */
export function objectCacheLimit(env: Readonly<Record<string, string | undefined>>): number {
  const text = env[LIMIT_VARIABLE];
  if (text === undefined || text === '') return DEFAULT_OBJECT_CACHE_BYTES;
  if (!/^\d{1,9}$/.test(text)) {
    throw new AppError('USAGE', {
      message: `${LIMIT_VARIABLE} is not a whole number of MiB: ${text}.`,
      hint: `Give it like ${LIMIT_VARIABLE}=1024.`,
    });
  }
  return Number(text) * 1024 ** 2;
}

interface CachedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** When a build last took or made it. */
  readonly usedMs: number;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function filesIn(folder: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name);
    // A full cache has tens of thousands of files, in 256 folders: a promise for each would take several times as long.
    const facts = entry.isFile() ? lstatSync(path, { throwIfNoEntry: false }) : undefined;
    if (facts === undefined) continue;
    files.push({ path, sizeBytes: Math.ceil(facts.size / BLOCK_BYTES) * BLOCK_BYTES, usedMs: facts.mtimeMs });
  }
  return files;
}

/** Objects and their indexes. */
async function allFiles(cacheDir: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for (const entry of await entriesOf(cacheDir)) {
    if (entry.isDirectory() && /^[0-9a-f]{2}$/.test(entry.name)) files.push(...(await filesIn(join(cacheDir, entry.name))));
  }
  return files;
}

/** What the objects in a cache take on the disk, in bytes. */
export async function objectCacheBytes(cacheDir: string): Promise<number> {
  return (await allFiles(cacheDir)).reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** Notes a user of the cache: while there is one, nothing is deleted. @returns ends it. */
async function enter(cacheDir: string, signal: AbortSignal | undefined): Promise<() => Promise<void>> {
  // Whoever deletes holds this lock: it sees this user, or is done before the user looks for its first object.
  const unlock = await lockTargets(cacheDir, { waitMs: LOCK_WAIT_MS, ...(signal === undefined ? {} : { signal }) });
  try {
    // Its folder goes with the next pruning: only who holds the lock of the cache may delete there.
    return await lockTargets(join(cacheDir, USERS, randomBytes(8).toString('hex')));
  } finally {
    await unlock();
  }
}

/** Whether a living process keeps the lock of a user. */
async function isAlive(user: string): Promise<boolean> {
  const unlock = await unlessHeld(lockTargets(user));
  await unlock?.();
  return unlock === undefined;
}

/** Undefined when somebody else has the lock. */
async function unlessHeld(lock: Promise<() => Promise<void>>): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lock;
  } catch (error) {
    if (error instanceof AppError && error.code === 'DATA_FOLDER_LOCKED') return undefined;
    throw error;
  }
}

/** Whether a build works with the cache. Forgets those that ended or were killed. */
async function isInUse(cacheDir: string): Promise<boolean> {
  let inUse = false;
  for (const { name } of await entriesOf(join(cacheDir, USERS))) {
    const path = join(cacheDir, USERS, name);
    if (await isAlive(path)) inUse = true;
    else await rm(path, { recursive: true, force: true });
  }
  return inUse;
}

/** @returns false when it belongs to another user of this machine: then it stays. */
async function discard(path: string): Promise<boolean> {
  try {
    await rm(path, { force: true });
    return true;
  } catch (error) {
    if (!['EPERM', 'EACCES', 'EROFS'].includes(systemErrorCode(error) ?? '')) throw error;
    return false;
  }
}

/**
 * Deletes the objects that were not used for the longest time until the cache takes no more than it may, and what killed
 * compilers left. While a build works with the cache nothing is deleted: the last one to end does it.
 *
 * @returns bytes that the cache takes now; undefined when it is in use.
 */
export async function pruneObjects(cacheDir: string, limitBytes: number): Promise<number | undefined> {
  const unlock = await unlessHeld(lockTargets(cacheDir));
  if (unlock === undefined) return undefined;
  try {
    if (await isInUse(cacheDir)) return undefined;
    const abandoned = Date.now() - ABANDONED_MS;
    for (const { path, usedMs } of await filesIn(cacheDir)) if (usedMs < abandoned) await discard(path);
    const files = await allFiles(cacheDir);
    let total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    for (const file of files.sort((a, b) => a.usedMs - b.usedMs)) {
      if (total <= limitBytes) break;
      if (await discard(file.path)) total -= file.sizeBytes;
    }
    return total;
  } finally {
    await unlock();
  }
}

export interface ObjectUse {
  /** Ceiling of the cache, in bytes; default 1 GiB. */
  limitBytes?: number;
  signal?: AbortSignal;
}

/**
 * Does work that compiles into a cache and then reads the objects, e.g. links them: meanwhile nobody deletes one of them.
 * At its end the cache is brought down to its ceiling.
 *
 * @throws what the work throws; AppError DATA_FOLDER_LOCKED (user) when another process keeps deleting for a minute.
 */
export async function usingObjects<Made>(cacheDir: string, work: () => Promise<Made>, use: ObjectUse = {}): Promise<Made> {
  const leave = await enter(cacheDir, use.signal);
  try {
    return await work();
  } finally {
    await leave();
    await pruneObjects(cacheDir, use.limitBytes ?? DEFAULT_OBJECT_CACHE_BYTES);
  }
}
