import { isAbsolute, resolve, sep } from 'node:path';
import { AppError } from '@selvedge/contract';

/**
 * Joins a path from outside to a folder of ours.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) when it is absolute, holds a NUL or a backslash, or leaves the folder.
 */
export function confinePath(root: string, relative: string): string {
  const base = resolve(root);
  const target = resolve(base, relative);
  const inside = target === base || target.startsWith(base.endsWith(sep) ? base : base + sep);
  if (!inside || isAbsolute(relative) || relative.includes('\0') || relative.includes('\\')) {
    throw new AppError('ARCHIVE_UNSAFE', { message: `The path ${JSON.stringify(relative.slice(0, 200))} leaves its folder.` });
  }
  return target;
}
