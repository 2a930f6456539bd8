import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '../system-error.ts';
import {
  type FolderEntry,
  faultOfLink,
  faultOfName,
  fileMode,
  folderMode,
  MAX_FOLDER_DEPTH,
  MAX_FOLDER_ENTRIES,
  unpackable,
} from './folder-entry.ts';
import { isTransferName } from './folder-place.ts';
import { Turns } from './turns.ts';

export interface WalkOptions {
  readonly signal?: AbortSignal;
  /** Permissions for all files instead of their own; folders may be entered by whoever may read. */
  readonly mode?: number | undefined;
}

/**
 * The entries of a folder: itself, and each folder before what is in it, names in the order of their bytes. What a transfer keeps
 * there until it is done is no part of it, nor is what goes away meanwhile.
 *
 * @throws AppError FILE_UNREADABLE (user) for what cannot be archived, by name; PAYLOAD_TOO_LARGE (user) above 100,000 entries.
 */
export async function* walkFolder(folder: string, { signal, mode }: WalkOptions): AsyncGenerator<FolderEntry, void, undefined> {
  let seen = 0;
  const turns = new Turns();
  const folders: { path: string; names: Buffer[] }[] = [];
  const enter = (path: string, found: Stats): FolderEntry | undefined => {
    if (folders.length >= MAX_FOLDER_DEPTH) throw unpackable(path, 'is too deep');
    const names = namesIn(folder, path);
    if (names === undefined) return undefined;
    folders.push({ path, names: names.reverse() });
    const own = mode === undefined ? found.mode : mode | ((mode & 0o444) >> 2);
    return { path, type: 'folder', mode: folderMode(own), sizeBytes: 0, target: '' };
  };
  const entryAt = (path: string): FolderEntry | undefined => {
    const source = join(folder, path);
    const found = lstatSync(source, { throwIfNoEntry: false });
    if (found === undefined || found.isDirectory()) return found && enter(path, found);
    if (found.isFile()) return { path, type: 'file', mode: fileMode(mode ?? found.mode), sizeBytes: found.size, target: '' };
    if (found.isSymbolicLink()) return linkEntry(path, source);
    throw unpackable(path, 'is neither a file nor a folder');
  };
  const root = enter('', lstatSync(folder));
  if (root !== undefined) yield root;
  for (let at = folders.at(-1); at !== undefined; at = folders.at(-1)) {
    signal?.throwIfAborted();
    await turns.give();
    const name = at.names.pop()?.toString();
    if (name === undefined) folders.pop();
    else {
      const path = at.path === '' ? name : `${at.path}/${name}`;
      const fault = faultOfName(name);
      if (fault !== undefined) throw unpackable(path, fault);
      const entry = entryAt(path);
      if (entry === undefined) continue;
      seen += 1;
      if (seen >= MAX_FOLDER_ENTRIES) throw tooMany(folder);
      yield entry;
    }
  }
}

/** In order; undefined when the folder has gone away meanwhile. */
function namesIn(folder: string, path: string): Buffer[] | undefined {
  try {
    const names = readdirSync(join(folder, path), { encoding: 'buffer' });
    if (names.length > MAX_FOLDER_ENTRIES) throw tooMany(folder);
    return names.filter((name) => !isTransferName(name.toString())).sort(Buffer.compare);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES' || code === 'EPERM') throw unpackable(path, `may not be read (${code})`);
    throw error;
  }
}

function tooMany(folder: string): AppError {
  return new AppError('PAYLOAD_TOO_LARGE', { message: `${folder} has more than ${MAX_FOLDER_ENTRIES} entries.` });
}

function linkEntry(path: string, source: string): FolderEntry {
  const target = readlinkSync(source);
  const fault = faultOfLink(path, target);
  if (fault !== undefined) throw unpackable(path, fault);
  return { path, type: 'link', mode: 0o777, sizeBytes: 0, target };
}
