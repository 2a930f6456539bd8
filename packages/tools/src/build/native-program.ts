import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type BuildOptions } from '@selvedge/contract';
import { compileSources, type InstalledTarget, linkExecutable, nativeDir, type SourceToCompile, usingObjects } from '@selvedge/toolchain';
import type { EnginePlan } from './choose-engine.ts';
import { bundleLibraries } from './library-bundle/bundle-libraries.ts';
import { GENERATED_FLAGS, includeFolder, isDynamic, linkedLibraries, runtimeParts } from './runtime-parts.ts';
import { explainUserError, writeUserSources } from './user-sources.ts';

export interface ProgramRequest {
  readonly target: InstalledTarget;
  readonly plan: EnginePlan;
  readonly precision: 'fp32' | 'fp16' | 'int8';
  /** The ONNX file, for the engine onnxruntime. */
  readonly model: Uint8Array;
  readonly build: BuildOptions;
  /** Empty folder for generated sources. */
  readonly scratch: string;
  /** Folder that becomes the package: `run`, the model file and lib/ are written there. */
  readonly folder: string;
  /** Objects, shared by all builds. */
  readonly cacheDir: string;
  /** What they may take, in bytes; undefined: 1 GiB. */
  readonly cacheLimitBytes: number | undefined;
  readonly signal: AbortSignal;
  log(text: string): void;
  /** @param fraction - 0..1. */
  progress(fraction: number, message: string): void;
}

export interface NativeProgram {
  /** Name of the model file in the package. */
  readonly modelFile: string;
  /** Files in lib/; empty for a static executable. */
  readonly libraries: readonly string[];
}

interface ModelFile {
  readonly modelFile: string;
  /** What has to be compiled for it. */
  readonly sources: readonly SourceToCompile[];
  readonly linkerFlags: readonly string[];
}

/** Writes the model as the engine takes it. */
async function writeModelFile({ plan, precision, model, folder, scratch }: ProgramRequest): Promise<ModelFile> {
  if (plan.engine === 'onnxruntime') {
    await writeFile(join(folder, 'model.onnx'), model);
    return { modelFile: 'model.onnx', sources: [], linkerFlags: [] };
  }
  const { generateXnnpack } = await import('./xnnpack/index.ts');
  const code = generateXnnpack(plan.graph, { precision: precision === 'fp16' ? 'fp16' : 'fp32' });
  const source = join(scratch, 'model.cc');
  await writeFile(source, code.source);
  await writeFile(join(folder, 'weights.bin'), code.weights);
  return { modelFile: 'weights.bin', sources: [{ path: source, flags: GENERATED_FLAGS }], linkerFlags: code.linkerFlags };
}

async function compileAll(request: ProgramRequest, own: readonly SourceToCompile[]): Promise<{ runtime: string[]; user: string[] }> {
  const { target, build, scratch, cacheDir, signal, progress, log } = request;
  const userFolder = join(scratch, 'sources');
  const userSources = await writeUserSources(userFolder, build.sources ?? []);
  const opencv = build.libraries?.includes('opencv') === true ? ['-isystem', join(target.sysroot, 'usr/include/opencv4')] : [];
  const shared = { cacheDir, signal };
  const total = own.length + userSources.length;
  const started = performance.now();
  // The user's first: their errors should not wait for the rest.
  const user = await compileSources(target, {
    ...shared,
    sources: userSources.map(({ path, flags = [] }) => ({ path, flags: [...flags, ...opencv] })),
    includeDirs: [includeFolder(), userFolder],
    onProgress: (done) => progress((done / total) * 0.9, `compiling ${done}/${total}`),
  }).catch((error: unknown) => {
    throw explainUserError(error, userFolder);
  });
  const runtime = await compileSources(target, {
    ...shared,
    sources: own,
    includeDirs: [includeFolder()],
    onProgress: (done) => progress(((user.length + done) / total) * 0.9, `compiling ${user.length + done}/${total}`),
  });
  log(`compiled ${total} sources in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return { runtime, user };
}

/** Without tables for unwinding, which take a tenth of an executable in which nothing is thrown. */
const WITHOUT_UNWINDING = 'SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table*) } } INSERT AFTER .comment;\n';

async function unwindingFlags({ build, scratch }: ProgramRequest, dynamic: boolean): Promise<string[]> {
  if (dynamic || (build.sources ?? []).length > 0) return [];
  const script = join(scratch, 'without-unwinding.ld');
  await writeFile(script, WITHOUT_UNWINDING);
  return ['-Wl,--no-eh-frame-hdr', `-Wl,-T,${script}`];
}

/** A program that is static: `run` is the executable itself. One that is not: `run` is the launcher. */
async function linkAll(
  request: ProgramRequest,
  { objects, linkerFlags }: { objects: readonly string[]; linkerFlags: readonly string[] },
  dynamic: boolean,
): Promise<string[]> {
  const { target, plan, build, folder, cacheDir, signal, log, progress } = request;
  progress(0.9, 'linking');
  const libraries = linkedLibraries(target, plan.engine, build.libraries);
  const output = join(folder, dynamic ? 'lib/selvedge-run' : 'run');
  const flags = [...linkerFlags, ...(await unwindingFlags(request, dynamic))];
  await linkExecutable(target, { objects, libraries, output, isStatic: !dynamic, flags, signal });
  if (!dynamic) return [];
  const { loader, files } = await bundleLibraries({ target, engine: plan.engine, program: output, folder: join(folder, 'lib') });
  const launcher = await compileSources(target, {
    sources: [
      { path: join(nativeDir(), 'runtime/launcher/launcher.cc'), flags: [...GENERATED_FLAGS, `-DSELVEDGE_LOADER="lib/${loader}"`] },
    ],
    cacheDir,
    signal,
  });
  await linkExecutable(target, { objects: launcher, output: join(folder, 'run'), signal });
  log(`bundled ${files.length} libraries and the loader ${loader}`);
  return files;
}

function requireExtra(target: InstalledTarget, extra: string): void {
  if (target.extras.includes(extra)) return;
  throw new AppError('TARGET_NOT_INSTALLED', {
    message: `The toolchain for ${target.name} is installed without ${extra}.`,
    hint: `Run "selvedge target install ${target.name} --extras ${extra}".`,
  });
}

/**
 * Makes the executable of a package and its model file.
 *
 * @throws AppError TARGET_NOT_INSTALLED (user) when an extra of the target is missing; BUILD_FAILED with the compiler's
 *   errors, those of user sources by the user's own paths; INPUT_INVALID (user) for a source that is none.
 */
export async function buildProgram(request: ProgramRequest): Promise<NativeProgram> {
  const { target, plan, build } = request;
  const extras: readonly string[] = [...(plan.engine === 'onnxruntime' ? ['onnxruntime'] : []), ...(build.libraries ?? [])];
  for (const extra of extras) requireExtra(target, extra);
  const dynamic = isDynamic(plan.engine, build.libraries);
  const { modelFile, sources, linkerFlags } = await writeModelFile(request);
  const parts = await runtimeParts(plan.engine, dynamic, (build.sources ?? []).length > 0);
  const compileAndLink = async () => {
    const { runtime, user } = await compileAll(request, [...parts, ...sources]);
    return linkAll(request, { objects: [...runtime, ...user], linkerFlags }, dynamic);
  };
  const { cacheDir, cacheLimitBytes, signal } = request;
  const libraries = await usingObjects(cacheDir, compileAndLink, {
    signal,
    ...(cacheLimitBytes === undefined ? {} : { limitBytes: cacheLimitBytes }),
  });
  return { modelFile, libraries };
}
