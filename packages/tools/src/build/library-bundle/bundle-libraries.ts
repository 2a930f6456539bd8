import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineName } from '@selvedge/contract';
import type { InstalledTarget } from '@selvedge/toolchain';
import { libraryClosure } from './library-closure.ts';

const ONNXRUNTIME = 'libonnxruntime.so.1';

export interface BundleRequest {
  readonly target: InstalledTarget;
  readonly engine: EngineName;
  /** The dynamic executable. */
  readonly program: string;
  /** Where the loader and the libraries go. */
  readonly folder: string;
}

/** Where the library of ONNX Runtime is: among the target's own, or Debian's. */
function onnxruntimePath({ sysroot, libDir, recipe, lock }: InstalledTarget): string {
  if (lock.npm.length > 0) return join(libDir, ONNXRUNTIME);
  return join(sysroot, 'usr/lib', recipe.triple, 'libonnxruntime.so');
}

/**
 * Copies the loader and every library that a program needs, directly or not, beside it.
 *
 * @returns the loader's file name and all names, sorted.
 * @throws AppError BUILD_FAILED when the target lacks one.
 */
export async function bundleLibraries({ target, engine, program, folder }: BundleRequest): Promise<{ loader: string; files: string[] }> {
  const { sysroot, recipe } = target;
  const folders = [join(sysroot, 'usr/lib', recipe.triple), join(sysroot, 'usr/lib'), join(sysroot, 'usr/lib64')];
  // OpenCV's BLAS is below an alternative that only an installed system links to.
  const alternatives = ['blas', 'lapack'].map((name) => join(sysroot, 'usr/lib', recipe.triple, name));
  const extra: Record<string, string> = engine === 'onnxruntime' ? { [ONNXRUNTIME]: onnxruntimePath(target) } : {};
  const { loader, libraries } = await libraryClosure(program, extra, [...folders, ...alternatives]);
  for (const { name, path } of libraries) {
    const copy = join(folder, name);
    await copyFile(path, copy);
    await chmod(copy, name === loader ? 0o755 : 0o644);
  }
  return { loader, files: libraries.map(({ name }) => name) };
}
