import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '@selvedge/contract';
import { confinePath, systemErrorCode } from '@selvedge/runtime';

/**
 * The `native/` folder of this installation: C++ sources and target recipes. Found from this file upwards, so from the
 * source and from a bundle alike.
 *
 * @throws AppError SETUP_INCOMPLETE (user) when there is none.
 */
export function nativeDir(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'native/targets/shared/debian.json'))) return join(folder, 'native');
  }
  throw new AppError('SETUP_INCOMPLETE', {
    message: `${start} is not part of a Selvedge installation: there is no native/ folder above it.`,
  });
}

/**
 * The C and C++ sources of one folder of the native runtime, sorted, absolute; headers and subfolders are left out.
 *
 * @param component - folder below native/runtime, e.g. `ops` or `engine/xnnpack/cpu`.
 * @throws AppError REFERENCE_MISSING (user) when there is no such folder.
 */
export async function runtimeSources(component: string): Promise<string[]> {
  const folder = confinePath(join(nativeDir(), 'runtime'), component);
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => /\.(cc|c)$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) throw error;
    throw new AppError('REFERENCE_MISSING', { message: `The native runtime has no part ${component}.` }, { cause: error });
  }
}
