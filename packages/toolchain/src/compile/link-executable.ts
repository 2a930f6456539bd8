import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { explainDiskError } from '@selvedge/runtime';
import type { BuildTarget } from '../installed-target.ts';
import { targetFlags } from './compile-sources.ts';
import { buildFailed } from './diagnostics.ts';
import { runProgram } from './run-program.ts';

export interface LinkOptions {
  objects: readonly string[];
  /** Names as after `-l`, looked up in the target's own libraries, then in its sysroot; or paths of libraries. */
  libraries?: readonly string[];
  /** Appears under this name only when it is whole. */
  output: string;
  /** After the driver's own. */
  flags?: readonly string[];
  /** False for a program that loads shared libraries; default true. */
  isStatic?: boolean;
  signal?: AbortSignal;
}

/** What a program that uses XNNPACK is linked with, besides the objects of `runtimeSources('engine/xnnpack/cpu')`. */
export const XNNPACK_LIBRARIES: readonly string[] = ['XNNPACK', 'microkernels-prod', 'pthreadpool'];

/**
 * Links a program for a target: static, stripped, without code that nothing calls and with equal functions folded. The same
 * inputs make the same bytes.
 *
 * @throws AppError BUILD_FAILED with the linker's output in `data.diagnostics`; DISK_FULL.
 */
export async function linkExecutable(target: BuildTarget, options: LinkOptions): Promise<void> {
  const output = resolve(options.output);
  const unfinished = `${output}.${randomBytes(6).toString('hex')}.unfinished`;
  const libraries = (options.libraries ?? []).map((library) => (library.includes('/') ? resolve(library) : `-l${library}`));
  const args = [
    '--driver-mode=g++',
    ...targetFlags(target),
    ...(options.isStatic === false ? [] : ['-static']),
    `--ld-path=${target.compiler.linker}`,
    '-s',
    '-Wl,--gc-sections',
    '-Wl,--icf=all',
    '-Wl,--build-id=none',
    ...(target.recipe.linkerFlags ?? []),
    `-L${target.libDir}`,
    ...(options.flags ?? []),
    ...options.objects.map((object) => resolve(object)),
    ...libraries,
    '-o',
    unfinished,
  ];
  await mkdir(dirname(output), { recursive: true });
  try {
    const result = await runProgram(target.compiler.clang, args, {
      cwd: '/',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (result.exitCode !== 0) throw buildFailed(`${basename(output)} cannot be linked`, result.stderr);
    await chmod(unfinished, 0o755);
    await rename(unfinished, output);
  } catch (error) {
    throw explainDiskError(error, output);
  } finally {
    await rm(unfinished, { force: true });
  }
}
