import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';

const holderSchema = z.object({ pid: z.int().min(1), startedAt: z.string() });
type Holder = z.infer<typeof holderSchema>;

/** Start time of a process in ticks since boot, with the boot's id: no other process ever has both and the same pid. */
async function processStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The name in brackets may hold anything; the 22nd field is counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot.trim()}/${fields[19] ?? ''}`;
  } catch {
    return undefined; // no such process, or a system without /proc
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

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // gone, or cut by a power failure: nobody holds it
  }
}

/**
 * Takes a folder for this process alone, on this machine. A lock left by a process that is gone is taken over.
 *
 * @returns gives the folder free again.
 * @throws AppError DATA_FOLDER_LOCKED (user) when a living agent holds it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'agent.lock');
  const own = `${path}.${process.pid}`;
  const startedAt = (await processStart(process.pid)) ?? 'unknown';
  await writeFile(own, JSON.stringify({ pid: process.pid, startedAt }), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      try {
        await link(own, path); // only one of several can make it, and it is never seen half written
        return () => rm(path, { force: true });
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      }
      const holder = await readHolder(path);
      if (holder !== undefined && (await isAlive(holder))) {
        throw new AppError('DATA_FOLDER_LOCKED', {
          message: `Another agent (process ${holder.pid}) works in ${folder}.`,
          hint: 'Stop it, or give this agent a folder of its own with --dir.',
        });
      }
      await discardStale(path, `${own}.stale`);
    }
    throw new AppError('DATA_FOLDER_LOCKED', { message: `${folder} could not be locked: other agents are starting in it.` });
  } finally {
    await rm(own, { force: true });
  }
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
    try {
      await link(aside, path);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
  }
  await rm(aside, { force: true });
}

/** The agent that works in the folder now; undefined when there is none. */
export async function lockHolder(folder: string): Promise<number | undefined> {
  const holder = await readHolder(join(folder, 'agent.lock'));
  return holder !== undefined && (await isAlive(holder)) ? holder.pid : undefined;
}
