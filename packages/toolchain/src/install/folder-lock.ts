import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode, waitUntil } from '@selvedge/runtime';

/**
 * Takes the folder of targets for one installer at a time. A lock of a process that is gone is taken over.
 *
 * @param waitMs - how long to wait for the one that has it; default 0.
 * @returns gives it free.
 * @throws AppError DATA_FOLDER_LOCKED (user) when another process installs there.
 */
export async function lockTargets(folder: string, options: { waitMs?: number; signal?: AbortSignal } = {}): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, '.lock');
  const own = `${path}.${process.pid}-${randomBytes(6).toString('hex')}`;
  const mine = `${process.pid} ${(await processStart(process.pid)) ?? 'unknown'}\n`;
  await writeFile(own, mine);
  try {
    await waitUntil(() => take(path, own), {
      timeoutMs: options.waitMs ?? 0,
      intervalMs: 200,
      what: 'the folder of targets',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'TIMEOUT') throw error;
    const pid = (await readHolder(path))?.split(' ')[0] ?? 'unknown';
    throw new AppError('DATA_FOLDER_LOCKED', {
      message: `Another process (${pid}) installs or removes targets in ${folder}.`,
      hint: 'Wait until it is done, or stop it.',
    });
  } finally {
    await rm(own, { force: true });
  }
  return () => rm(path, { force: true });
}

/** A link is made by one process only and is never seen half written. */
async function take(path: string, own: string): Promise<boolean> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      await link(own, path);
      return true;
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    const holder = await readHolder(path);
    if (holder !== undefined && (await lives(holder))) return false;
    await discard(path, `${own}.stale`);
  }
  return false;
}

/** Moves a stale lock away; puts it back when another process took the folder in this very moment. */
async function discard(path: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  const moved = await readHolder(aside);
  if (moved !== undefined && (await lives(moved))) {
    await link(aside, path).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
  }
  await rm(aside, { force: true });
}

async function readHolder(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function lives(holder: string): Promise<boolean> {
  const [pid = '', started = ''] = holder.split(' ');
  return started !== '' && (await processStart(Number(pid))) === started;
}

/** Ticks after boot at which a process started, with the boot's id: a pid alone may belong to another one by now. */
async function processStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The name in brackets may hold anything: count from behind it.
    return `${boot.trim()}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
  } catch {
    return undefined; // no such process
  }
}
