import { utimes } from 'node:fs/promises';
import { systemErrorCode } from '@selvedge/runtime';

/** Whether there is such a file. Its time tells from then on that it was used now: see object-space.ts. */
export async function markUsed(path: string): Promise<boolean> {
  const now = new Date();
  try {
    await utimes(path, now, now);
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    // Of another user: it is there, and deleting it is up to that one.
    if (['EPERM', 'EACCES', 'EROFS'].includes(code)) return true;
    if (code !== 'ENOENT') throw error;
    return false;
  }
  return true;
}
