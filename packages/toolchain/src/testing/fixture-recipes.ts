import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FixtureArchive, FixturePackage, TarEntry } from './debian-fixture.ts';

export const FIXTURE_TARGET = 'linux-test';

/** Stands for ld.so and the compiler behind it: every "object" is the text of its source. */
const FAKE_LOADER = `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -c) source=$2; shift ;;
    -o) output=$2; shift ;;
    -MF) deps=$2; shift ;;
  esac
  shift
done
[ -n "$deps" ] && echo "x.o: $source" > "$deps"
[ -n "$source" ] && cat "$source" > "$output"
exit 0
`;

const loader = (path: string): TarEntry => ({ name: path, content: FAKE_LOADER, mode: 0o755 });

export const FIXTURE_PACKAGES: readonly FixturePackage[] = [
  {
    name: 'libtest-dev',
    depends: 'libtest1 (= 1.0), virtual-thing',
    files: [{ name: './usr/include/test.h', content: '#define TEST 1\n' }],
  },
  {
    name: 'libtest1',
    files: [
      { name: './lib/arm-test-gnu/libtest.so.1', content: 'library'.repeat(40_000) },
      { name: './usr/lib/gcc/arm-test-gnu/14/libgcc.a', content: 'gcc' },
      { name: './usr/share/man/man1/test.1', content: 'left out' },
    ],
  },
  { name: 'thing', provides: 'virtual-thing', files: [{ name: './usr/lib/thing', content: 'thing' }] },
  { name: 'extra-dev', files: [{ name: './usr/include/extra.h', content: 'extra' }] },
  {
    name: 'clang-19',
    files: [
      loader('./usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
      loader('./usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1'),
      { name: './usr/lib/llvm-19/bin/clang', content: 'clang' },
    ],
  },
];

export const FIXTURE_SOURCES: readonly { name: string; files: readonly TarEntry[] }[] = [
  {
    name: 'xnnpack',
    files: [
      { name: 'CMakeLists.txt', content: 'SET(OPERATOR_SRCS\n  src/a.c\n  src/operators/b.cc)\n' },
      { name: 'src/a.c', content: 'int a;\n' },
      { name: 'src/operators/b.cc', content: 'int b;\n' },
    ],
  },
  { name: 'pthreadpool', files: [{ name: 'pthreadpool-1/src/threads.c', content: 'int threads;\n' }] },
];

/** A folder of recipes with one small target, and the keyring of a test archive. */
export async function writeFixtureRecipes(folder: string, archive: FixtureArchive): Promise<void> {
  await mkdir(join(folder, 'shared'), { recursive: true });
  const put = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
  await writeFile(join(folder, 'debian-archive-keyring.asc'), archive.publicKey);
  await put('shared/debian.json', {
    suite: 'trixie',
    component: 'main',
    mirror: archive.url,
    sysroot: { packages: ['libtest-dev'], skip: [], keep: ['usr/include/', 'usr/lib/'], drop: [] },
    compiler: {
      packages: ['clang-19'],
      skip: [],
      keep: ['usr/lib/'],
      drop: [],
      clangPackage: 'clang-19',
      llvmFolder: 'usr/lib/llvm-19',
      resourceFolder: 'usr/lib/llvm-19/lib/clang/19',
    },
  });
  await put('shared/xnnpack.json', {
    sourcePackage: 'xnnpack',
    sourceStrip: 0,
    pthreadpoolPackage: 'pthreadpool',
    pthreadpoolStrip: 1,
    unpack: ['CMakeLists.txt', 'src/'],
    headersBelow: 'src/',
    sourceSets: ['OPERATOR_SRCS'],
    sources: [],
    pthreadpoolSources: ['src/threads.c'],
    definitions: {},
  });
  await put(`${FIXTURE_TARGET}.json`, {
    name: FIXTURE_TARGET,
    description: 'a target of the tests',
    debianArch: 'armtest',
    triple: 'arm-test-gnu',
    machine: 'none',
    compilerFlags: [],
    emulator: { program: 'no-such-emulator', cpus: ['max'] },
    xnnpackDefinitions: {},
    extras: { more: { packages: ['extra-dev'] } },
  });
}
