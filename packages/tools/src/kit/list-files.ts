import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

export interface ListedFile {
  /** Relative, with "/". */
  readonly path: string;
  readonly sizeBytes: number;
}

/** Relative paths ("/") of all regular files below a folder, sorted; links are left out. An absent folder has none. */
export async function listFilePaths(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** As `listFilePaths`, with sizes. */
export async function listFiles(root: string): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for (const path of await listFilePaths(root)) files.push({ path, sizeBytes: (await stat(join(root, path))).size });
  return files;
}
