import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeManifest } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import { listFilePaths } from '../../kit/index.ts';

/** The files below a folder as the manifest lists them, sorted by path. */
export async function listPackageFiles(folder: string, signal: AbortSignal): Promise<NativeManifest['files']> {
  const files: NativeManifest['files'] = [];
  for (const path of (await listFilePaths(folder)).sort()) {
    const file = join(folder, path);
    const { size, mode } = await stat(file);
    files.push({ path, sha256: await sha256File(file, signal), sizeBytes: size, executable: (mode & 0o100) !== 0 });
  }
  return files;
}
