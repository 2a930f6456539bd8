import { join } from 'node:path';
import {
  compileSources,
  type InstalledTarget,
  linkExecutable,
  nativeDir,
  type ProgramResult,
  runProgram,
  runtimeSources,
} from '@selvedge/toolchain';
import { runnerOf, TEST_OBJECTS_DIR } from './targets.ts';

/** How all C++ of the runtime is compiled in tests: as in packages, and with every warning an error. */
const FLAGS = [
  ...['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror'],
  ...['-fno-exceptions', '-fno-rtti', '-ffp-contract=off'],
  ...['-DRAPIDJSON_HAS_STDSTRING=1'],
];

export interface NativeProgram {
  /** Below native/, e.g. `tests/ops_test.cc`. */
  source: string;
  /** Folders below native/runtime that are compiled with it. */
  components: readonly string[];
  /** Single sources below native/runtime that are compiled with it, of folders that would bring too much along. */
  files?: readonly string[];
  libraries: readonly string[];
  /** Where the executable is put. */
  folder: string;
  compilerFlags?: readonly string[];
  linkerFlags?: readonly string[];
  isStatic?: boolean;
}

/** Builds a program out of native/ for a target. @returns its path. */
export async function buildNativeProgram(target: InstalledTarget, program: NativeProgram): Promise<string> {
  const native = nativeDir();
  const sources = [join(native, program.source), ...(await Promise.all(program.components.map(runtimeSources))).flat()];
  sources.push(...(program.files ?? []).map((path) => join(native, 'runtime', path)));
  const objects = await compileSources(target, {
    sources: sources.map((path) => ({ path })),
    includeDirs: [join(native, 'runtime'), native],
    flags: [...FLAGS, ...(program.compilerFlags ?? [])],
    cacheDir: TEST_OBJECTS_DIR,
  });
  const output = join(program.folder, `${target.name}-${program.source.replace(/^.*\//, '').replace(/\.cc$/, '')}`);
  await linkExecutable(target, {
    objects,
    libraries: program.libraries,
    output,
    flags: program.linkerFlags ?? [],
    isStatic: program.isStatic ?? true,
  });
  return output;
}

/** Runs a program of the target on its oldest core. @returns undefined where no emulator for it is installed. */
export async function runOnTarget(target: InstalledTarget, program: string, args: readonly string[]): Promise<ProgramResult | undefined> {
  const [first, ...words] = [...(runnerOf(target) ?? ['']), program, ...args];
  return first ? runProgram(first, words) : undefined;
}
