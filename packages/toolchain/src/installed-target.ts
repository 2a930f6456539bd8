import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { type Layout, layoutOf } from './install/layout.ts';
import { readTargetLock, readToolchainLock, type TargetLock, type ToolchainLock } from './install/lock-file.ts';
import { findRecipe, hostArch, installDigest, listRecipes, type Recipe } from './recipe.ts';

/** The compiler of this machine; it builds for every target. */
export interface Compiler {
  readonly folder: string;
  /** Driver for C and C++; with `--driver-mode=g++` for C++. */
  readonly clang: string;
  readonly linker: string;
  readonly zstd: string;
  /** Version of the clang package: part of what makes the same bytes. */
  readonly version: string;
  /** sha256 over all packages that it was installed from. */
  readonly digest: string;
}

/** What compiling and linking need of a target. */
export interface BuildTarget {
  readonly name: string;
  readonly recipe: Recipe;
  readonly sysroot: string;
  /** Static libraries that were built for the target. */
  readonly libDir: string;
  /** Folder of the C++ runtime's own files in the sysroot. */
  readonly gccDir: string;
  /** sha256 over all packages in the sysroot. */
  readonly sysrootDigest: string;
  readonly compiler: Compiler;
}

export interface InstalledTarget extends BuildTarget {
  readonly folder: string;
  readonly extras: readonly string[];
  readonly lock: TargetLock;
  /** False when the recipe or an extra has changed since: installing again brings it up to date. */
  readonly isUpToDate: boolean;
}

const digestOf = (packages: readonly { sha256: string }[]) => sha256Hex(packages.map(({ sha256 }) => sha256).join('\n'));

export function compilerAt(folder: string, lock: ToolchainLock): Compiler {
  const program = (name: string) => join(folder, 'bin', name);
  return {
    folder,
    clang: program('clang'),
    linker: program('ld.lld'),
    zstd: program('zstd'),
    version: lock.compiler,
    digest: digestOf(lock.packages),
  };
}

/** Assembles what is needed to build from a folder with sysroot/ and lib/. */
export async function buildTargetAt(
  folder: string,
  recipe: Recipe,
  packages: readonly { sha256: string }[],
  compiler: Compiler,
): Promise<BuildTarget> {
  const sysroot = join(folder, 'sysroot');
  const versions = join(sysroot, 'usr/lib/gcc', recipe.triple);
  const newest = (await readdir(versions)).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new AppError('SETUP_INCOMPLETE', { message: `${versions} holds no C++ runtime.` });
  const gccDir = join(versions, newest);
  return { name: recipe.name, recipe, sysroot, libDir: join(folder, 'lib'), gccDir, sysrootDigest: digestOf(packages), compiler };
}

async function openRecipe(layout: Layout, recipe: Recipe): Promise<InstalledTarget | undefined> {
  const folder = layout.target(recipe.name);
  const lock = await readTargetLock(folder);
  if (lock === undefined) return undefined;
  const toolchain = layout.toolchain(hostArch());
  const toolchainLock = await readToolchainLock(toolchain);
  if (toolchainLock === undefined) return undefined; // a folder from a machine of another kind
  const target = await buildTargetAt(folder, recipe, lock.packages, compilerAt(toolchain, toolchainLock));
  return { ...target, folder, extras: lock.extras, lock, isUpToDate: lock.recipeDigest === installDigest(recipe, lock.extras) };
}

/**
 * A target that can be built for.
 *
 * @returns undefined when it is not installed.
 * @throws AppError TARGET_UNKNOWN (user); INPUT_INVALID for a damaged lock.
 */
export async function openTarget(targetsDir: string, name: string, recipesDir?: string): Promise<InstalledTarget | undefined> {
  return openRecipe(layoutOf(targetsDir), await findRecipe(name, recipesDir));
}

/** @throws AppError TARGET_NOT_INSTALLED (user), with the command that installs it; else as `openTarget`. */
export async function requireTarget(targetsDir: string, name: string, recipesDir?: string): Promise<InstalledTarget> {
  const target = await openTarget(targetsDir, name, recipesDir);
  if (target !== undefined) return target;
  throw new AppError('TARGET_NOT_INSTALLED', {
    message: `The toolchain for ${name} is not installed.`,
    hint: `Run "selvedge target install ${name}".`,
  });
}

export interface TargetState {
  readonly recipe: Recipe;
  /** Undefined when it is not installed. */
  readonly installed: InstalledTarget | undefined;
}

/** Every known target, sorted by name, with what is installed of it. */
export async function readTargets(targetsDir: string, recipesDir?: string): Promise<TargetState[]> {
  const layout = layoutOf(targetsDir);
  const recipes = await listRecipes(recipesDir);
  return Promise.all(recipes.map(async (recipe) => ({ recipe, installed: await openRecipe(layout, recipe) })));
}
