import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AppError, type Issue } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';

export interface FileEntry {
  /** Path in the archive, with `/`. */
  readonly path: string;
  /** Path on disk. */
  readonly source: string;
  readonly sizeBytes: number;
}

export interface FileListing {
  /** Sorted by path, by code unit: the order does not depend on the machine. */
  readonly files: FileEntry[];
  /** Symbolic links that were left out. */
  readonly skippedLinks: string[];
  readonly sizeBytes: number;
}

interface Walk {
  files: FileEntry[];
  skippedLinks: string[];
  refused: Issue[];
}

function specialKind(entry: Dirent): string {
  if (entry.isSocket()) return 'a socket';
  if (entry.isFIFO()) return 'a named pipe';
  return 'a device file';
}

async function walk(folder: string, prefix: string, found: Walk, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const source = join(folder, entry.name);
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isSymbolicLink()) found.skippedLinks.push(source);
    else if (entry.isDirectory()) await walk(source, path, found, signal);
    else if (entry.isFile()) found.files.push({ path, source, sizeBytes: (await stat(source)).size });
    else found.refused.push({ path: '', message: `is ${specialKind(entry)}, not a file`, file: source });
  }
}

async function addRoot(root: string, keepsName: boolean, found: Walk, signal: AbortSignal): Promise<void> {
  const info = await stat(root);
  if (info.isDirectory()) await walk(root, keepsName ? basename(resolve(root)) : '', found, signal);
  else if (info.isFile()) found.files.push({ path: basename(root), source: root, sizeBytes: info.size });
  else found.refused.push({ path: '', message: 'is neither a file nor a folder', file: root });
}

function unreadable(root: string, error: unknown): AppError {
  const code = systemErrorCode(error);
  const reason = code === 'ENOENT' ? 'there is no such file or folder' : `it could not be read (${code ?? String(error)})`;
  return new AppError('FILE_UNREADABLE', { message: `Nothing was added: ${root}: ${reason}.` }, { cause: error });
}

function checkUnique(files: readonly FileEntry[]): void {
  const twice = files.find((file, index) => files[index - 1]?.path === file.path);
  if (twice !== undefined)
    throw new AppError('FILE_UNREADABLE', {
      message: `Two of the given files would both become "${twice.path}".`,
      hint: 'Put them into one folder.',
    });
}

/**
 * Lists the regular files of one folder (paths inside it), or of several files and folders (each under its own name).
 *
 * @throws AppError FILE_UNREADABLE for what cannot be read or is no file; DATASET_FORMAT when there is no file at all.
 */
export async function listFiles(roots: readonly string[], signal: AbortSignal): Promise<FileListing> {
  const found: Walk = { files: [], skippedLinks: [], refused: [] };
  for (const root of roots) {
    try {
      await addRoot(root, roots.length > 1, found, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw unreadable(root, error);
    }
  }
  if (found.refused.length > 0)
    throw new AppError('FILE_UNREADABLE', { message: 'Nothing was added: not everything there is a file.', issues: found.refused });
  const files = found.files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  if (files.length === 0) {
    throw new AppError('DATASET_FORMAT', {
      message: `${roots.join(', ')} holds no files.`,
      hint: 'A dataset is a folder of labelled folders of pictures (optionally below train/ and test/), or IDX files.',
    });
  }
  checkUnique(files);
  return { files, skippedLinks: found.skippedLinks.sort(), sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0) };
}
