import { lstat, readFile, stat } from 'node:fs/promises';
import { systemErrorCode } from './system-error.ts';

/** The text of a file; undefined when there is no such file. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether there is a file or a folder of that name, links followed. */
export function pathExists(path: string): Promise<boolean> {
  return isFound(stat(path));
}

/** Whether anything has that name, a link that leads nowhere included. */
export function entryExists(path: string): Promise<boolean> {
  return isFound(lstat(path));
}

async function isFound(looking: Promise<unknown>): Promise<boolean> {
  try {
    await looking;
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
