import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileSources, type InstalledTarget, linkExecutable, nativeDir, runtimeSources, XNNPACK_LIBRARIES } from '@selvedge/toolchain';
import { TEST_OBJECTS_DIR } from '../targets.ts';

const STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror', '-fno-exceptions', '-fno-rtti'];

/** Builds the program that runs the cases in `source`. @returns its path. */
export async function buildCases(
  target: InstalledTarget,
  source: string,
  folder: string,
  linkerFlags: readonly string[] = [],
): Promise<string> {
  const native = nativeDir();
  const cases = join(folder, 'cases.cc');
  await writeFile(cases, source);
  const engine = await runtimeSources('engine/xnnpack');
  const shared = { includeDirs: [join(native, 'runtime')], cacheDir: TEST_OBJECTS_DIR };
  const ours = await compileSources(target, {
    ...shared,
    // The one file that wants a model of the name kModel.
    sources: [cases, join(native, 'tests/xnnpack_cases.cc'), ...engine.filter((path) => !path.endsWith('open_engine.cc'))].map((path) => ({
      path,
    })),
    flags: STRICT,
  });
  const cpu = await compileSources(target, { ...shared, sources: (await runtimeSources('engine/xnnpack/cpu')).map((path) => ({ path })) });
  const output = join(folder, `cases-${target.name}`);
  await linkExecutable(target, { objects: [...ours, ...cpu], libraries: XNNPACK_LIBRARIES, output, flags: linkerFlags });
  return output;
}
