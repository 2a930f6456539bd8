import { join } from 'node:path';
import type { BuildOptions, EngineName } from '@selvedge/contract';
import { type BuildTarget, nativeDir, runtimeSources, type SourceToCompile, XNNPACK_LIBRARIES } from '@selvedge/toolchain';

/** Folders of native/runtime that every executable is made of. */
const COMMON_PARTS = ['base', 'image', 'ops', 'pipeline', 'input', 'output', 'serve', 'app'] as const;
/**
 * Stands for what libraries refer to and this program never comes to: encoders, sscanf. Sources of users may call all of it,
 * and those of a dynamic program come with its libraries.
 */
const ABSENT_PART = 'absent';
const ENGINE_PARTS: Readonly<Record<EngineName, readonly string[]>> = {
  xnnpack: ['engine/xnnpack', 'engine/xnnpack/cpu'],
  onnxruntime: ['engine/onnxruntime'],
};
/**
 * Nothing is thrown through the runtime, so nobody unwinds it: tables for that would be a tenth of the executable. RapidJSON's
 * assertions stay, without the texts and places that assert() would print.
 */
const RUNTIME_FLAGS = [
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-unwind-tables',
  '-fno-asynchronous-unwind-tables',
  '-DNDEBUG',
  '-DRAPIDJSON_HAS_STDSTRING=1',
  '-DRAPIDJSON_ASSERT(x)=((x)?static_cast<void>(0):__builtin_trap())',
];
/** What runs once, or waits for others: small rather than fast. */
const COLD_PARTS: readonly string[] = ['base', 'pipeline', 'output', 'app'];
/** The results of these are bound to golden tensors: no fused multiply-add where the reference rounds twice. */
const EXACT_PARTS: readonly string[] = ['ops'];
const CODEC_LIBRARIES = ['jpeg', 'png16', 'z', 'event_core', 'llhttp'];
const OPENCV_LIBRARIES = ['opencv_imgcodecs', 'opencv_imgproc', 'opencv_core'];

/** Says to native/runtime/base that the launcher names the package's folder. */
const BUNDLED_LOADER_FLAG = '-DSELVEDGE_BUNDLED_LOADER';

/** Whether the executable loads shared libraries, and so comes with its own loader and C library. */
export function isDynamic(engine: EngineName, libraries: BuildOptions['libraries']): boolean {
  return engine === 'onnxruntime' || (libraries ?? []).length > 0;
}

export function includeFolder(): string {
  return join(nativeDir(), 'runtime');
}

/**
 * Sources of the runtime with an engine, each with its flags.
 *
 * @param dynamic - see `isDynamic`.
 * @param hasUserSources - whether sources of users are linked with them; default false.
 */
export async function runtimeParts(engine: EngineName, dynamic: boolean, hasUserSources = false): Promise<SourceToCompile[]> {
  const sources: SourceToCompile[] = [];
  const absent = dynamic || hasUserSources ? [] : [ABSENT_PART];
  for (const part of [...COMMON_PARTS, ...absent, ...ENGINE_PARTS[engine]]) {
    const flags = [
      ...(COLD_PARTS.includes(part) ? ['-Os'] : []),
      ...(EXACT_PARTS.includes(part) ? ['-ffp-contract=off'] : []),
      ...(dynamic && part === 'base' ? [BUNDLED_LOADER_FLAG] : []),
    ];
    for (const path of await runtimeSources(part))
      sources.push({ path, flags: path.endsWith('.c') ? flags : [...RUNTIME_FLAGS, ...flags] });
  }
  return sources;
}

/** Flags of generated sources, which are part of the runtime. */
export const GENERATED_FLAGS: readonly string[] = RUNTIME_FLAGS;

/** What the executable is linked with, in the linker's order. */
export function linkedLibraries(target: BuildTarget, engine: EngineName, libraries: BuildOptions['libraries']): string[] {
  // By path where the linker would otherwise prefer the shared ones.
  const folder = join(target.sysroot, 'usr/lib', target.recipe.triple);
  const codecs = isDynamic(engine, libraries) ? CODEC_LIBRARIES.map((name) => join(folder, `lib${name}.a`)) : CODEC_LIBRARIES;
  const ownEngine =
    engine === 'xnnpack'
      ? XNNPACK_LIBRARIES.map((name) => (isDynamic(engine, libraries) ? staticEngineLibrary(target, folder, name) : name))
      : [];
  return [...(libraries?.includes('opencv') === true ? OPENCV_LIBRARIES : []), ...ownEngine, ...codecs, 'pthread', 'dl', 'm'];
}

function staticEngineLibrary(target: BuildTarget, folder: string, name: string): string {
  return join(name === 'microkernels-prod' ? folder : target.libDir, `lib${name}.a`);
}
