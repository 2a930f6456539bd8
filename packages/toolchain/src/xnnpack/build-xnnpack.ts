import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { compileSources } from '../compile/compile-sources.ts';
import { writeAr } from '../debian/ar-archive.ts';
import { decompress } from '../debian/decompress.ts';
import { pathRule } from '../debian/path-rule.ts';
import { type UnpackOptions, UnpackTree } from '../debian/unpack-tree.ts';
import type { BuildTarget } from '../installed-target.ts';

const MAX_SOURCE_BYTES = 512 * 1024 * 1024;

interface XnnpackSources {
  /** Source archives with their names in Debian, which tell the compression. */
  readonly xnnpack: { path: string; filename: string };
  readonly pthreadpool: { path: string; filename: string };
}

export interface XnnpackBuild {
  sources: XnnpackSources;
  /** An empty folder for sources; it can go afterwards. */
  workDir: string;
  cacheDir: string;
  signal?: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

/** XNNPACK compares a build with the one that packed its weights; ours never changes while it runs. */
const BUILD_IDENTIFIER = `#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
static const uint8_t identifier[] = {'s', 'e', 'l', 'v'};
size_t xnn_experimental_get_build_identifier_size(void) { return sizeof identifier; }
const void* xnn_experimental_get_build_identifier_data(void) { return identifier; }
bool xnn_experimental_check_build_identifier(const void* data, size_t size) {
  return size == sizeof identifier && memcmp(data, identifier, size) == 0;
}
`;

const C_FLAGS = ['-std=gnu11'];
const CXX_FLAGS = ['-std=c++14', '-fno-exceptions', '-fno-rtti'];

/** What prepares a computation, and runs once, is made small. */
const optimisation = (path: string): string => (/^src\/(?:configs|operators|subgraph)\//.test(path) ? '-Os' : '-O2');

/**
 * Builds libXNNPACK.a (everything but the micro-kernels, which Debian has as a static library) and libpthreadpool.a into
 * the target's lib folder.
 *
 * @throws AppError BUILD_FAILED; ARCHIVE_UNSAFE for a damaged source archive.
 */
export async function buildXnnpack(target: BuildTarget, build: XnnpackBuild): Promise<void> {
  const settings = target.recipe.xnnpack;
  const xnnpack = join(build.workDir, 'xnnpack');
  const pthreadpool = join(build.workDir, 'pthreadpool');
  const isWanted = pathRule(settings.unpack, []);
  const { signal } = build;
  const wantsXnnpack = (path: string) => isWanted(path) || (path.startsWith(settings.headersBelow) && path.endsWith('.h'));
  await unpackSource(build.sources.xnnpack, xnnpack, { strip: settings.sourceStrip, wants: wantsXnnpack, ...(signal && { signal }) });
  await unpackSource(build.sources.pthreadpool, pthreadpool, {
    strip: settings.pthreadpoolStrip,
    wants: () => true,
    ...(signal && { signal }),
  });
  const identifier = join(xnnpack, 'build-identifier.c');
  await writeFile(identifier, BUILD_IDENTIFIER);
  const names = await xnnpackSources(join(xnnpack, 'CMakeLists.txt'), settings.sourceSets, settings.sources);
  const threads = settings.pthreadpoolSources.map((name) => join(pthreadpool, name));
  const sources = [...names.map((name) => join(xnnpack, name)), identifier, ...threads];
  const definitions = Object.entries({ ...settings.definitions, ...target.recipe.xnnpackDefinitions });
  const objects = await compileSources(target, {
    sources: sources.map((path) => ({
      path,
      flags: [optimisation(path.slice(xnnpack.length + 1)), ...(path.endsWith('.c') ? C_FLAGS : CXX_FLAGS)],
    })),
    includeDirs: [join(xnnpack, 'include'), join(xnnpack, 'src'), join(pthreadpool, 'include'), join(pthreadpool, 'src')],
    flags: ['-w', '-fno-math-errno', '-D_GNU_SOURCE', ...definitions.map(([name, value]) => `-D${name}=${value}`)],
    cacheDir: build.cacheDir,
    onProgress: build.onProgress,
    ...(build.signal === undefined ? {} : { signal: build.signal }),
  });
  const named = sources.map((path, index) => ({ path, object: objects[index] ?? '' }));
  await mkdir(target.libDir, { recursive: true });
  await archive(
    join(target.libDir, 'libXNNPACK.a'),
    named.filter(({ path }) => path.startsWith(`${xnnpack}/`)),
    xnnpack,
  );
  await archive(
    join(target.libDir, 'libpthreadpool.a'),
    named.filter(({ path }) => !path.startsWith(`${xnnpack}/`)),
    pthreadpool,
  );
}

async function unpackSource(source: { path: string; filename: string }, folder: string, options: UnpackOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const data = await readFile(source.path);
  await new UnpackTree(folder).unpack(decompress(basename(source.filename), data, MAX_SOURCE_BYTES), options);
}

/** The sources in lists of a CMakeLists.txt, and further ones, each once, sorted. */
async function xnnpackSources(cmakeLists: string, sets: readonly string[], further: readonly string[]): Promise<string[]> {
  const text = await readFile(cmakeLists, 'utf8');
  const found = new Set(further);
  for (const set of sets) {
    const body = new RegExp(`^SET\\(${set}\\b([^)]*)\\)`, 'm').exec(text)?.[1];
    if (body === undefined) throw new AppError('BUILD_FAILED', { message: `XNNPACK's CMakeLists.txt has no list ${set}.` });
    for (const [name] of body.matchAll(/\bsrc\/[\w./-]+\.(?:c|cc)\b/g)) found.add(name);
  }
  return [...found].sort();
}

async function archive(path: string, named: readonly { path: string; object: string }[], folder: string): Promise<void> {
  const members = await Promise.all(
    named.map(async (entry) => ({
      name: `${entry.path.slice(folder.length + 1).replaceAll('/', '_')}.o`,
      data: await readFile(entry.object),
    })),
  );
  await writeFile(path, writeAr(members));
}
