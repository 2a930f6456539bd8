import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, type ErrorDetails } from '@selvedge/contract';
import * as z from 'zod';
import { waitUntil } from './backoff.ts';
import { readTextFile } from './optional-file.ts';
import { isDiskFull, systemErrorCode } from './system-error.ts';

const INTERVAL_MS = 100;

const holderSchema = z.object({ pid: z.int().min(1), startedAt: z.string() });
type Holder = z.infer<typeof holderSchema>;

export interface FolderLockOptions {
  /** How long the holder is waited for, in milliseconds; default 0. */
  waitMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** What is said when another process keeps it; `pid` is undefined when that one gave it free in this very moment. */
  refusal: (pid: number | undefined) => ErrorDetails;
}

/**
 * Takes a folder for one holder at a time, among the processes of this machine, by a file that names the holder. A lock left
 * by a process that is gone, or cut by a power failure, is taken over. It can be taken on a full disk too.
 *
 * @param path - of the lock file; its folder is made when it is not there.
 * @returns gives the folder free again.
 * @throws AppError DATA_FOLDER_LOCKED (user) when a living process keeps it; the signal's reason.
 */
export async function lockFolder(path: string, options: FolderLockOptions): Promise<() => Promise<void>> {
  const { waitMs = 0, signal, refusal } = options;
  await mkdir(dirname(path), { recursive: true });
  const own = `${path}.${process.pid}-${randomBytes(6).toString('hex')}`;
  const startedAt = (await processStart(process.pid)) ?? 'unknown';
  try {
    await writeHolder(own, { pid: process.pid, startedAt });
    await waitUntil(() => take(path, own), {
      timeoutMs: waitMs,
      intervalMs: INTERVAL_MS,
      what: path,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'TIMEOUT') throw error;
    throw new AppError('DATA_FOLDER_LOCKED', refusal(await folderLockHolder(path)));
  } finally {
    await rm(own, { force: true });
  }
  return () => rm(path, { force: true });
}

/** The process that holds a lock now; undefined when there is none. */
export async function folderLockHolder(path: string): Promise<number | undefined> {
  const holder = await readHolder(path);
  return holder !== undefined && (await isAlive(holder)) ? holder.pid : undefined;
}

/** On a full disk a symbolic link whose target names the holder: file systems keep short ones in the inode, which takes no block. */
async function writeHolder(path: string, holder: Holder): Promise<void> {
  try {
    await writeFile(path, JSON.stringify(holder));
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    await rm(path, { force: true });
    await symlink(`${holder.pid} ${holder.startedAt}`, path);
  }
}

/** A link is made by one process only and is never seen half written. */
async function take(path: string, own: string): Promise<boolean> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      await link(own, path);
      return true;
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    const holder = await readHolder(path);
    if (holder !== undefined && (await isAlive(holder))) return false;
    await discardStale(path, `${own}.stale`);
  }
  return false;
}

/** Moves a stale lock away; puts it back when another process took the folder in this very moment. */
async function discardStale(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  const moved = await readHolder(aside);
  if (moved !== undefined && (await isAlive(moved))) {
    await link(aside, path).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
  }
  await rm(aside, { force: true });
}

/** Undefined when there is no lock, and when it was cut by a power failure: then nobody holds it. */
async function readHolder(path: string): Promise<Holder | undefined> {
  const target = await readlink(path).catch(() => undefined);
  if (target !== undefined) {
    const [pid, startedAt] = target.split(' ');
    return holderSchema.safeParse({ pid: Number(pid), startedAt }).data;
  }
  const text = await readTextFile(path);
  if (text === undefined) return undefined;
  try {
    return holderSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  const start = await processStart(holder.pid);
  if (start !== undefined) return start === holder.startedAt;
  if (holder.startedAt.includes('/')) return false;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}

/**
 * Ticks after boot at which a process started, with the boot's id: a pid alone may belong to another process by now.
 * Undefined when there is no such process, and on a system without /proc.
 */
async function processStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The name in brackets may hold anything; the 22nd field is counted from behind it.
    return `${boot.trim()}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
  } catch {
    return undefined;
  }
}
