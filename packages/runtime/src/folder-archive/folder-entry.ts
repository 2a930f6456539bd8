import { AppError } from '@selvedge/contract';

/** One entry of a folder, as it stands in an archive of it. */
export interface FolderEntry {
  /** From the folder on, with `/`; empty for the folder itself. */
  readonly path: string;
  readonly type: 'folder' | 'file' | 'link';
  /** Permission bits. */
  readonly mode: number;
  /** Of a file. */
  readonly sizeBytes: number;
  /** Where a link leads; empty for all else. */
  readonly target: string;
}

/** Files, folders and links together, the folder itself included. */
export const MAX_FOLDER_ENTRIES = 100_000;
export const MAX_FOLDER_DEPTH = 64;
const MAX_NAME_BYTES = 255;
const MAX_TARGET_BYTES = 1024;

/** Whoever keeps a folder must be able to read it again, to go through it, and to remove it. */
export function folderMode(mode: number): number {
  return (mode & 0o777) | 0o700;
}

export function fileMode(mode: number): number {
  return (mode & 0o777) | 0o400;
}

/** Order of two names in a folder: that of their bytes in UTF-8, which is the same everywhere. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * Why an entry of this name cannot be in an archive; undefined when it can. What is refused here is refused by whoever packs as well
 * as by whoever unpacks.
 */
export function faultOfName(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) return 'is not a name';
  if (name.includes('\ufffd')) return 'has a name that is not UTF-8';
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return 'has a name that is too long';
  if (process.platform === 'win32' && /[\\:]/.test(name)) return 'has a name that this system would take for a path';
  return undefined;
}

/**
 * Why a link at this path would lead out of its folder; undefined when it stays inside. `..` may stand at the beginning only: behind
 * the name of another link it would start from where that leads.
 */
export function faultOfLink(path: string, target: string): string | undefined {
  if (target === '' || target.includes('\0')) return 'is a link to nothing';
  if (Buffer.byteLength(target) > MAX_TARGET_BYTES) return 'is a link with a path that is too long';
  const parts = target.split(process.platform === 'win32' ? /[\\/]/ : '/').filter((part) => part !== '.' && part !== '');
  const down = parts.findIndex((part) => part !== '..');
  const up = down === -1 ? parts.length : down;
  const isInside = !/^([/\\]|[A-Za-z]:)/.test(target) && up < path.split('/').length && !parts.slice(up).includes('..');
  return isInside ? undefined : `is a link that leads out of the folder (${target.slice(0, 100)})`;
}

/** @throws AppError FILE_UNREADABLE: the entry cannot be packed. */
export function unpackable(path: string, reason: string): AppError {
  return new AppError('FILE_UNREADABLE', { message: `The folder's entry ${JSON.stringify(path.slice(0, 300))} ${reason}.` });
}
