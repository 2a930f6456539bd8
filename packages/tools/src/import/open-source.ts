import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type ImportOptions } from '@selvedge/contract';
import { listFilePaths, unpackTar, unpackZip } from '../kit/index.ts';
import { isIdxName } from './layouts/read-idx.ts';
import { readLayout } from './read-layout.ts';
import { ACCEPTED_LAYOUTS, type Source } from './source-sample.ts';

type ArchiveKind = 'zip' | 'tar' | 'gzip';

/** Files that operating systems and packers leave behind. */
function isClutter(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX' || part === 'Thumbs.db' || part === 'desktop.ini');
}

/** An upload is packed for the way, so that an archive which somebody adds arrives inside another one. */
const MAX_NESTING = 2;

/**
 * Finds out what a folder holds; a single archive in it is unpacked to `scratch` first, and one inside that too.
 *
 * @throws AppError DATASET_FORMAT, ARCHIVE_UNSAFE (user)
 */
export async function openSource(folder: string, scratch: string, options: ImportOptions, signal: AbortSignal): Promise<Source> {
  let root = folder;
  for (let depth = 1; depth <= MAX_NESTING; depth += 1) {
    const inner = await unpackSingle(root, `${scratch}-${depth}`, signal);
    if (inner === root) break;
    root = inner;
  }
  const paths = (await listFilePaths(root)).filter((path) => !isClutter(path));
  if (paths.length === 0) throw new AppError('DATASET_FORMAT', { message: 'The data holds no files.', hint: ACCEPTED_LAYOUTS });
  return readLayout({ root, paths, scratch, options, signal });
}

async function unpackSingle(folder: string, scratch: string, signal: AbortSignal): Promise<string> {
  const [only, ...others] = await listFilePaths(folder);
  if (only === undefined || others.length > 0 || isIdxName(only) || only.toLowerCase().endsWith('.npz')) return folder;
  const path = join(folder, only);
  const kind = await archiveKind(path);
  if (kind === undefined) return folder;
  if (kind === 'zip') await unpackZip(path, scratch, signal);
  else await unpackTar(path, scratch, { gzip: kind === 'gzip', signal });
  return scratch;
}

/** By content, because names from URLs say little. */
async function archiveKind(path: string): Promise<ArchiveKind | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(264), 0, 264, 0);
    const head = buffer.subarray(0, bytesRead);
    if (head.subarray(0, 4).equals(Buffer.from('PK\x03\x04', 'latin1'))) return 'zip';
    if (head.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]))) return 'gzip';
    return head.subarray(257, 262).toString('latin1') === 'ustar' ? 'tar' : undefined;
  } finally {
    await file.close();
  }
}
