import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode, waitUntil } from '@selvedge/runtime';

/** How long a predecessor that is about to end may keep the folder. */
const HANDOVER_MS = 10_000;

/**
 * Makes sure that one process works in a data folder: two queues over the same artifacts would undo each other's work.
 *
 * The lock is a file with the owner's pid and start time (a pid alone may belong to another process after a reboot).
 *
 * @param handoverMs - how long to wait for the owner to end; default 10 s.
 * @returns a function that gives the folder free.
 * @throws AppError DATA_FOLDER_LOCKED (user) when another process keeps it.
 */
export async function lockDataFolder(folder: string, signal?: AbortSignal, handoverMs = HANDOVER_MS): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'lock');
  const mine = `${process.pid} ${(await startTime(process.pid)) ?? ''}\n`;
  const take = async (): Promise<true | undefined> => {
    try {
      const handle = await open(path, 'wx');
      await handle.writeFile(mine).finally(() => handle.close());
      return true;
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    if (!(await ownerLives(path))) await rm(path, { force: true });
    return undefined;
  };
  try {
    await waitUntil(take, { timeoutMs: handoverMs, what: 'the data folder', ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'TIMEOUT') throw error;
    throw new AppError('DATA_FOLDER_LOCKED', {
      message: `Another process works in ${folder}.`,
      hint: `Stop it, or choose another folder. Its pid is in ${path}.`,
    });
  }
  return () => rm(path, { force: true });
}

async function ownerLives(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined || text === '') return text === ''; // just being written, or just given free
  const [pid = '', started = ''] = text.trim().split(' ');
  if (Number(pid) === process.pid) return false;
  return (await startTime(Number(pid))) === started;
}

/** Clock ticks after boot at which a process started (field 22 of /proc/<pid>/stat); undefined when it does not run. */
async function startTime(pid: number): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold spaces: count from behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // no such process, or no /proc: then the lock cannot be judged and is taken over
  }
}
