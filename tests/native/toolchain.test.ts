import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import {
  compileSources,
  type InstalledTarget,
  linkExecutable,
  nativeDir,
  objectCacheBytes,
  runProgram,
  runtimeSources,
  usingObjects,
  verifyTarget,
  XNNPACK_LIBRARIES,
} from '@selvedge/toolchain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerOf, TEST_OBJECTS_DIR, TEST_TARGETS_DIR, testTarget } from './harness/targets.ts';

const NATIVE = nativeDir();
const WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror'];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-toolchain-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function build(target: InstalledTarget, source: string, output: string): Promise<string> {
  const sources = [join(NATIVE, 'tests', source), ...(await runtimeSources('engine/xnnpack/cpu'))];
  const objects = await compileSources(target, {
    sources: sources.map((path) => ({ path })),
    includeDirs: [join(NATIVE, 'runtime')],
    flags: [...WARNINGS, '-fno-exceptions', '-fno-rtti'],
    cacheDir: TEST_OBJECTS_DIR,
  });
  await linkExecutable(target, { objects, libraries: XNNPACK_LIBRARIES, output });
  return output;
}

async function runOn(target: InstalledTarget, program: string, cpu?: string) {
  const [command, ...args] = [...(runnerOf(target, cpu) ?? []), program];
  return runProgram(command ?? program, args, { timeoutMs: 60_000 });
}

/** Features and micro-architecture that the shim must report, per core. */
const CORES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'linux-armv7': {
    'cortex-a7': 'neon vfpv3 neon-fma neon-fp16 uarch=0',
    'cortex-a9': 'neon vfpv3 uarch=0',
    max: 'neon vfpv3 neon-fma neon-fp16 neon-v8 uarch=0',
  },
  'linux-arm64': {
    'cortex-a53': 'neon vfpv3 neon-fma neon-fp16 neon-v8 uarch=0x300353',
    'cortex-a72': 'neon vfpv3 neon-fma neon-fp16 neon-v8 uarch=0x300372',
    'cortex-a76': 'neon vfpv3 neon-fma neon-fp16 neon-v8 fp16-arith dot uarch=0x300376',
  },
  'linux-amd64': {},
  // XNNPACK asks the kernel by itself.
  'linux-riscv64': {},
};

describe.each(Object.keys(CORES))('%s', (name) => {
  let target: InstalledTarget;
  beforeAll(async () => {
    target = await testTarget(name);
  }, 600_000);

  it('is verified, with a program that runs', async () => {
    const result = await verifyTarget(TEST_TARGETS_DIR, name);
    expect(result).toMatchObject({ damaged: [], missing: [] });
    expect(result.program.state).toBe(runnerOf(target) === undefined ? 'built' : 'ran');
  });

  it('tells XNNPACK what each core has', async (context) => {
    const program = await build(target, 'cpu_features.cc', join(folder, `features-${name}`));
    const cores = Object.entries(CORES[name] ?? {});
    if (cores.length > 0 && runnerOf(target, 'max') === undefined) context.skip(`${target.recipe.emulator.program} is not installed`);
    for (const [cpu, expected] of cores) {
      const { stdout, stderr } = await runOn(target, program, cpu);
      expect({ cpu, said: stdout.trim(), stderr }).toEqual({ cpu, said: expected, stderr: '' });
    }
  });

  it('links an XNNPACK that computes on every core of the recipe', async (context) => {
    const program = await build(target, 'xnnpack_link_test.cc', join(folder, `xnnpack-${name}`));
    const isOwn = target.recipe.machine === process.arch;
    const cores = isOwn ? [undefined] : target.recipe.emulator.cpus;
    for (const cpu of cores) {
      if (runnerOf(target, cpu) === undefined) context.skip(`${target.recipe.emulator.program} is not installed`);
      expect({ cpu, ...(await runOn(target, program, cpu)) }).toEqual({ cpu, exitCode: 0, stdout: '', stderr: '' });
    }
  });

  it('makes the same bytes from the same sources, in another folder too', async () => {
    const first = await readFile(await build(target, 'cpu_features.cc', join(folder, `first-${name}`)));
    const objects = await compileSources(target, {
      sources: [join(NATIVE, 'tests/cpu_features.cc'), ...(await runtimeSources('engine/xnnpack/cpu'))].map((path) => ({ path })),
      includeDirs: [join(NATIVE, 'runtime')],
      flags: [...WARNINGS, '-fno-exceptions', '-fno-rtti'],
      cacheDir: join(folder, `objects-${name}`),
    });
    const output = join(folder, 'elsewhere', `second-${name}`);
    await linkExecutable(target, { objects, libraries: XNNPACK_LIBRARIES, output });
    expect((await readFile(output)).equals(first)).toBe(true);
  });
});

describe('the features of this machine', () => {
  it.runIf(process.arch === 'x64')('are those that the kernel reports', async () => {
    const target = await testTarget('linux-amd64');
    const program = await build(target, 'cpu_features.cc', join(folder, 'features-here'));
    const said = (await runOn(target, program)).stdout.trim().split(' ').slice(0, -1);
    const flags = /^flags\s*: (.*)$/m.exec(await readFile('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
    const asked = [
      'ssse3',
      'sse4_1',
      'avx',
      'f16c',
      'fma',
      'avx2',
      'avx_vnni',
      'avx512f',
      'avx512bw',
      'avx512dq',
      'avx512vl',
      'avx512vbmi',
      'avx512_vnni',
    ];
    expect(said).toEqual(asked.filter((flag) => flags.includes(flag)));
  });
});

describe('compileSources', () => {
  it('reports the errors of the compiler with file and line', async () => {
    const target = await testTarget('linux-armv7');
    const path = join(folder, 'broken.cc');
    await writeFile(path, 'int main() {\n  return "text";\n}\n');
    const error = await compileSources(target, { sources: [{ path }], cacheDir: join(folder, 'objects') }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'BUILD_FAILED', details: { issues: [{ file: path, line: 2 }] } });
  });

  it('compiles anew when a header has changed, and takes what it has when it is changed back', async () => {
    const target = await testTarget('linux-armv7');
    const header = join(folder, 'value.h');
    const path = join(folder, 'uses-value.cc');
    await writeFile(path, '#include "value.h"\nint value() { return VALUE; }\n');
    const compile = async (value: number) => {
      await writeFile(header, `#define VALUE ${value}\n`);
      return compileSources(target, { sources: [{ path }], cacheDir: join(folder, 'objects') });
    };
    const one = await compile(1);
    expect(await compile(2)).not.toEqual(one);
    expect(await compile(1)).toEqual(one);
  });

  it('compiles anew what was deleted from the cache', async () => {
    const target = await testTarget('linux-armv7');
    const [path, cacheDir] = [join(folder, 'value.cc'), join(folder, 'small-cache')];
    await writeFile(path, 'int value() { return 1; }\n');
    const compile = async () => {
      const objects = await compileSources(target, { sources: [{ path }], cacheDir });
      return { objects, bytes: await readFile(objects[0] ?? '') };
    };
    const first = await usingObjects(cacheDir, compile, { limitBytes: 0 });
    expect(await objectCacheBytes(cacheDir)).toBe(0);
    expect(await compile()).toEqual(first);
  });
});
