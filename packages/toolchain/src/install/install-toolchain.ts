import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { writeJsonAtomic } from '@selvedge/runtime';
import type { ReleaseFacts } from '../debian/archive.ts';
import type { DebianPackage } from '../debian/package-index.ts';
import { pathRule } from '../debian/path-rule.ts';
import { UnpackTree } from '../debian/unpack-tree.ts';
import { type Compiler, compilerAt } from '../installed-target.ts';
import { compilerDigest, type Recipe } from '../recipe.ts';
import { FILE_LIST, LOCK_FILE, type ToolchainLock } from './lock-file.ts';
import { replaceFolder } from './replace-folder.ts';
import { type FetchedPackage, lockedPackage, unpackPackages } from './unpack-packages.ts';

const LOADERS: Readonly<Record<string, { loader: string; libraries: string }>> = {
  amd64: { loader: 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', libraries: 'usr/lib/x86_64-linux-gnu' },
  arm64: { loader: 'usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1', libraries: 'usr/lib/aarch64-linux-gnu' },
};

/**
 * Scripts that start the programs through their own loader and C library, so that those of the machine do not matter. They
 * find their folder by their own path, so that it can be moved.
 */
function wrappers(arch: string, recipe: Recipe): Record<string, string> {
  const { llvmFolder, resourceFolder } = recipe.debian.compiler;
  const at = LOADERS[arch];
  if (at === undefined) throw new AppError('RESOURCES_UNAVAILABLE', { message: `There is no compiler for ${arch} machines.` });
  const head = `#!/bin/sh\ncase $0 in /*) D=\${0%/*} ;; *) D=$PWD/\${0%/*} ;; esac\nT=$D/../root\n`;
  const loader = (name: string) => `"$T/${at.loader}" --argv0 ${name} --library-path "$T/${at.libraries}:$T/${llvmFolder}/lib"`;
  const clang = `exec ${loader('"$0"')} "$T/${llvmFolder}/bin/clang"`;
  return {
    // clang starts itself again for a part of its work: those calls must keep their first argument.
    clang: `${head}case $1 in -cc1*) ${clang} "$@" ;; esac\n${clang} -no-canonical-prefixes -resource-dir "$T/${resourceFolder}" "$@"\n`,
    'ld.lld': `${head}exec ${loader('ld.lld')} "$T/${llvmFolder}/bin/lld" "$@"\n`,
    zstd: `${head}exec ${loader('zstd')} "$T/usr/bin/zstd" "$@"\n`,
  };
}

/** Makes toolchain/ARCH from its packages; it appears whole or not at all. */
export async function installToolchain(
  recipe: Recipe,
  arch: string,
  packages: readonly FetchedPackage[],
  options: {
    folder: string;
    unfinished: string;
    release: ReleaseFacts;
    signal?: AbortSignal;
    onPackage: (done: number, name: string) => void;
  },
): Promise<Compiler> {
  const { compiler } = recipe.debian;
  await rm(options.unfinished, { recursive: true, force: true });
  const tree = new UnpackTree(join(options.unfinished, 'root'));
  await tree.prepare();
  await unpackPackages(tree, packages, { ...options, wants: pathRule(compiler.keep, compiler.drop) });
  const bin = join(options.unfinished, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(wrappers(arch, recipe))) await writeFile(join(bin, name), script, { mode: 0o755 });
  const lock = toolchainLock(
    recipe,
    arch,
    packages.map((fetched) => fetched.package),
    options.release,
  );
  const files = Object.fromEntries([...tree.entries].map(([path, entry]) => [`root/${path}`, entry] as const).sort(byPath));
  await writeJsonAtomic(join(options.unfinished, FILE_LIST), files);
  await writeJsonAtomic(join(options.unfinished, LOCK_FILE), lock);
  await replaceFolder(options.unfinished, options.folder);
  return compilerAt(options.folder, lock);
}

export function byPath([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function toolchainLock(recipe: Recipe, arch: string, packages: readonly DebianPackage[], release: ReleaseFacts): ToolchainLock {
  const clang = packages.find(({ name }) => name === recipe.debian.compiler.clangPackage);
  return {
    formatVersion: 1,
    arch,
    recipeDigest: compilerDigest(recipe),
    compiler: clang?.version ?? 'unknown',
    release,
    packages: packages.map(lockedPackage),
  };
}
