import { copyFile, mkdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { confinePath, readJsonFile, sha256File, systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';
import { nativeDir } from '../native-folder.ts';

export interface NpmLibrary {
  readonly package: string;
  readonly path: string;
}

/** The folder of an npm package in this installation, and its version. */
async function locate(name: string): Promise<{ folder: string; version: string }> {
  const require = createRequire(join(nativeDir(), '../packages/tools/package.json'));
  for (const modules of require.resolve.paths(name) ?? []) {
    const manifest = await readJsonFile(join(modules, name, 'package.json'), z.object({ version: z.string() }));
    if (manifest !== undefined) return { folder: join(modules, name), version: manifest.version };
  }
  throw new AppError('SETUP_INCOMPLETE', {
    message: `The npm package ${name} is not installed.`,
    hint: 'Run "npm ci" in the root of the installation.',
  });
}

/**
 * Copies a library of an npm package into a target's lib folder.
 *
 * @returns its entry in the lock.
 * @throws AppError SETUP_INCOMPLETE (user) when the package or the library is missing.
 */
export async function copyNpmLibrary(library: NpmLibrary, libDir: string) {
  const { folder, version } = await locate(library.package);
  const source = confinePath(folder, library.path);
  const target = join(libDir, basename(library.path));
  await mkdir(dirname(target), { recursive: true });
  try {
    await copyFile(source, target);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new AppError(
      'SETUP_INCOMPLETE',
      { message: `The npm package ${library.package} ${version} has no ${library.path}.` },
      { cause: error },
    );
  }
  return { name: library.package, version, path: library.path, sha256: await sha256File(target), sizeBytes: (await stat(target)).size };
}
