import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError } from '@selvedge/contract';
import { explainDiskError, sha256Hex } from '@selvedge/runtime';
import { concurrently } from '../concurrently.ts';
import type { BuildTarget } from '../installed-target.ts';
import { parseDepfile } from './depfile.ts';
import { buildFailed } from './diagnostics.ts';
import { FileDigests, ObjectCache, rootsOf } from './object-cache.ts';
import { runProgram } from './run-program.ts';

/** Raised when objects of earlier versions of this driver must not be taken. */
const CACHE_VERSION = 1;

export interface SourceToCompile {
  /** `.c` is C11 with GNU extensions, `.S` assembly, all else C++17. */
  path: string;
  /** After the common flags. */
  flags?: readonly string[];
}

export interface CompileOptions {
  sources: readonly SourceToCompile[];
  /** `-I`, in this order. */
  includeDirs?: readonly string[];
  /** For every source, after the driver's own; `-O2` unless another level is given. */
  flags?: readonly string[];
  /** Where objects are kept; several builds may share it at the same time. Who reads the objects later works in `usingObjects`. */
  cacheDir: string;
  /** Compilers at a time; default: as many as the machine has cores. */
  jobs?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

const languageFlags = (path: string): readonly string[] => {
  if (path.endsWith('.c')) return ['-std=gnu11'];
  if (path.endsWith('.S')) return [];
  return ['--driver-mode=g++', '-std=c++17'];
};

/** Flags that say what the target is. */
export function targetFlags(target: BuildTarget): string[] {
  const { recipe, sysroot, gccDir } = target;
  return [`--target=${recipe.triple}`, ...recipe.compilerFlags, `--sysroot=${sysroot}`, `--gcc-install-dir=${gccDir}`];
}

/** Sections per function let the linker drop what is not used; the rest keeps paths and times of this machine out of objects. */
const COMMON_FLAGS = [
  '-O2',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-ident',
  '-fdebug-compilation-dir=.',
  '-Wdate-time',
  '-fno-color-diagnostics',
];

/**
 * Compiles sources for a target; what was compiled before from the same bytes, headers, flags and compiler is taken from
 * the cache. The same inputs make the same bytes, wherever the folders are.
 *
 * @returns the objects, in the order of the sources.
 * @throws AppError BUILD_FAILED: the compiler's errors are in `issues` with file, line and column, its whole output in
 *   `data.diagnostics`; DISK_FULL; the signal's reason.
 */
export async function compileSources(target: BuildTarget, options: CompileOptions): Promise<string[]> {
  const digests = new FileDigests();
  const cache = new ObjectCache(options.cacheDir, digests);
  const includeDirs = (options.includeDirs ?? []).map((folder) => resolve(folder));
  let done = 0;
  return concurrently(options.sources, options.jobs ?? availableParallelism(), async (source) => {
    options.signal?.throwIfAborted();
    const object = await compileOne(target, source, { ...options, includeDirs }, cache, digests);
    done += 1;
    options.onProgress?.(done, options.sources.length);
    return object;
  });
}

async function compileOne(
  target: BuildTarget,
  source: SourceToCompile,
  options: CompileOptions & { includeDirs: readonly string[] },
  cache: ObjectCache,
  digests: FileDigests,
): Promise<string> {
  const path = resolve(source.path);
  const roots = rootsOf(path, options.includeDirs);
  const flags = [...languageFlags(path), ...COMMON_FLAGS, ...(options.flags ?? []), ...(source.flags ?? [])];
  const bytes = await digests.of(path);
  if (bytes === undefined) throw new AppError('FILE_UNREADABLE', { message: `${path} does not exist.` });
  const { compiler, recipe, sysrootDigest } = target;
  const portable = flags.map((flag) => roots.reduce((text, root, index) => text.replaceAll(root, `/src${index}`), flag));
  const key = sha256Hex(
    JSON.stringify([
      CACHE_VERSION,
      compiler.version,
      sysrootDigest,
      recipe.triple,
      recipe.compilerFlags,
      portable,
      roots.length,
      basename(path),
      bytes,
    ]),
  );
  const known = await cache.find(key, roots);
  if (known !== undefined) return known;
  await mkdir(options.cacheDir, { recursive: true });
  const unfinished = join(options.cacheDir, `unfinished-${process.pid}-${randomBytes(6).toString('hex')}`);
  try {
    const headers = await runCompiler(target, path, { flags, roots, output: unfinished, signal: options.signal });
    const fixed = [target.sysroot, compiler.folder];
    const variant = await cache.prepare(
      key,
      headers.filter((header) => resolve('/', header) !== path),
      { roots, fixed },
    );
    const object = cache.objectPath(variant.object);
    await mkdir(dirname(object), { recursive: true });
    await rename(`${unfinished}.o`, object);
    await cache.note(key, variant);
    return object;
  } catch (error) {
    throw explainDiskError(error, options.cacheDir);
  } finally {
    await rm(`${unfinished}.o`, { force: true });
    await rm(`${unfinished}.d`, { force: true });
  }
}

interface CompilerRun {
  flags: readonly string[];
  roots: readonly string[];
  output: string;
  signal: AbortSignal | undefined;
}

/** @returns the headers that the source includes, directly or not. */
async function runCompiler(target: BuildTarget, path: string, run: CompilerRun): Promise<string[]> {
  const maps = [
    [target.sysroot, '/sysroot'],
    [target.compiler.folder, '/compiler'],
    ...run.roots.map((root, index) => [root, `/src${index}`]),
  ];
  const args = [
    ...targetFlags(target),
    ...run.flags,
    // the last one that fits is taken: the source's own folder
    ...maps.toReversed().map(([from, to]) => `-ffile-prefix-map=${from}=${to}`),
    ...run.roots.slice(1).map((folder) => `-I${folder}`),
    '-MD',
    '-MF',
    `${run.output}.d`,
    '-c',
    path,
    '-o',
    `${run.output}.o`,
  ];
  const result = await runProgram(target.compiler.clang, args, { cwd: '/', ...(run.signal === undefined ? {} : { signal: run.signal }) });
  if (result.exitCode !== 0) throw buildFailed(`${basename(path)} does not compile`, result.stderr);
  return parseDepfile(await readFile(`${run.output}.d`, 'utf8'));
}
