import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type BuildReport, buildReportSchema, type NativeManifest, type Provenance } from '@selvedge/contract';
import { inspectModel } from '@selvedge/graph/onnx';
import { sha256File, sha256Hex } from '@selvedge/runtime';
import { type InstalledTarget, nativeDir } from '@selvedge/toolchain';
import { listFilePaths } from '../kit/index.ts';
import { type BuildChoice, chooseBuild } from './choose-build.ts';
import { makeGolden } from './golden.ts';
import { writeGoldenFile } from './golden-file.ts';
import { countMacs } from './macs.ts';
import { buildProgram, type NativeProgram } from './native-program.ts';
import { listComponents } from './package-files/debian-components.ts';
import { listPackageFiles } from './package-files/list-files.ts';
import { makeManifest } from './package-files/make-manifest.ts';
import { makeProvenance } from './package-files/make-provenance.ts';
import { makeSbom } from './package-files/make-sbom.ts';
import { writeArchive } from './package-files/write-archive.ts';
import { writeLicences } from './package-files/write-licences.ts';
import type { BuildParameters } from './parameters.ts';
import type { BuildSamples, Score } from './samples.ts';
import { checkPackage } from './self-check.ts';

export interface PackageRequest {
  readonly parameters: BuildParameters;
  readonly target: InstalledTarget;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  /** Input of the golden sample of the version; undefined: the first sample is taken, where there are any. */
  readonly goldenInput: { readonly shape: readonly number[]; readonly data: Float32Array } | undefined;
  readonly samples: BuildSamples | undefined;
  /** Folder for work in progress; emptied first. */
  readonly scratch: string;
  readonly cacheDir: string;
  /** What the objects there may take, in bytes; default 1 GiB. */
  readonly cacheLimitBytes?: number;
  /** Where files.tar.zst goes. */
  readonly dataDir: string;
  readonly signal: AbortSignal;
  log(text: string): void;
  progress(fraction: number, message: string): void;
}

const GOLDEN_FILE = 'golden.safetensors';

/** Writes the golden sample. @returns its path in the package, null when there is no input to make one from. */
async function writeGolden(request: PackageRequest, choice: BuildChoice, folder: string): Promise<string | null> {
  const input = request.goldenInput ?? (await request.samples?.firstSample());
  if (input === undefined) return null;
  const golden = await makeGolden({ precision: choice.precision, trained: request.bytes, built: choice.bytes, input });
  await writeFile(join(folder, GOLDEN_FILE), writeGoldenFile(golden));
  return GOLDEN_FILE;
}

/** Licences and the parts list: what the package is made of besides our own code. */
async function writeParts(request: PackageRequest, choice: BuildChoice, program: NativeProgram, folder: string): Promise<void> {
  const { parameters, target, signal } = request;
  const libraries = new Map<string, string>();
  for (const name of program.libraries) libraries.set(name, await sha256File(join(folder, 'lib', name), signal));
  const components = await listComponents(target, { engine: choice.plan.engine, libraries });
  await writeLicences(folder, components, target.sysroot);
  const { model, version, modelSha256 } = parameters;
  await writeFile(join(folder, 'sbom.cdx.json'), makeSbom({ model, version, target: target.name, modelSha256 }, components));
}

function benchmarkOf(choice: BuildChoice): NativeManifest['benchmark'] {
  const score = (of: Score | undefined): Record<string, number> => (of === undefined ? {} : { [of.metric]: of.value });
  return {
    parameters: choice.model === undefined ? 0 : inspectModel(choice.model).parameterCount,
    macs: choice.model === undefined ? 0 : (countMacs(choice.model) ?? 0),
    trained: score(choice.trained),
    built: score(choice.built),
  };
}

/** sha256 of every file of the runtime, by path. */
async function runtimeDigests(signal: AbortSignal): Promise<Map<string, string>> {
  const folder = join(nativeDir(), 'runtime');
  const digests = new Map<string, string>();
  for (const path of await listFilePaths(folder)) digests.set(path, await sha256File(join(folder, path), signal));
  return digests;
}

async function provenanceOf(request: PackageRequest, choice: BuildChoice, manifestText: string): Promise<Provenance> {
  const { parameters, target, samples, signal } = request;
  const { model, version, modelSha256, build } = parameters;
  return makeProvenance({
    model,
    version,
    target: target.name,
    modelSha256,
    build,
    chosen: { engine: choice.plan.engine, precision: choice.precision },
    manifestSha256: sha256Hex(manifestText),
    toolchainSha256: await sha256File(join(target.folder, 'lock.json'), signal),
    compiler: target.compiler.version,
    runtimeSources: await runtimeDigests(signal),
    samplesSha256: await samples?.digest(signal),
  });
}

function choose(request: PackageRequest): Promise<BuildChoice> {
  const { parameters, target, bytes, samples, signal, log, progress } = request;
  progress(0.02, 'lowering');
  return chooseBuild({
    bytes,
    build: parameters.build,
    target: target.name,
    hasHalf: target.recipe.xnnpackDefinitions.XNN_ENABLE_ARM_FP16_VECTOR === '1',
    onnxruntimeActivations: target.recipe.onnxruntimeActivations ?? 'int8',
    samples,
    signal,
    log,
  });
}

/**
 * Builds the package of one model version for one target, and leaves its files as an archive.
 *
 * @returns what build.json holds.
 * @throws AppError TARGET_NOT_INSTALLED, OP_UNSUPPORTED, INPUT_INVALID, MODEL_INVALID, DIGEST_MISMATCH, BUILD_FAILED,
 *   SELF_TEST_FAILED; the signal's reason.
 */
export async function buildPackage(request: PackageRequest): Promise<BuildReport> {
  const { parameters, target, scratch, cacheDir, signal, log, progress } = request;
  const started = performance.now();
  if (sha256Hex(request.bytes) !== parameters.modelSha256) {
    throw new AppError('DIGEST_MISMATCH', { message: 'The input "model" is not the file that the parameters name by its sha256.' });
  }
  await rm(scratch, { recursive: true, force: true });
  const folder = join(scratch, 'package');
  await mkdir(join(folder, 'lib'), { recursive: true });
  const choice = await choose(request);
  const { precision, plan } = choice;
  log(`${target.name}: engine ${plan.engine}, precision ${precision}`);
  for (const note of choice.notes) log(note);
  const program = await buildProgram({
    target,
    plan,
    precision,
    model: choice.bytes,
    build: parameters.build,
    scratch,
    folder,
    cacheDir,
    cacheLimitBytes: request.cacheLimitBytes,
    signal,
    log,
    progress: (fraction, message) => progress(0.3 + fraction * 0.4, message),
  });
  const goldenFile = await writeGolden(request, choice, folder);
  await writeParts(request, choice, program, folder);
  const files = await listPackageFiles(folder, signal);
  const { manifest, text } = makeManifest(parameters, {
    engine: plan.engine,
    precision,
    modelFile: program.modelFile,
    goldenFile,
    benchmark: benchmarkOf(choice),
    files,
  });
  await writeFile(join(folder, 'manifest.json'), text);
  progress(0.75, 'self-test');
  const checked = await checkPackage({ target, engine: plan.engine, folder, hasGolden: goldenFile !== null, signal });
  log(checked);
  progress(0.8, 'packing');
  await pack(request, folder, files);
  const report = {
    formatVersion: 1,
    engine: plan.engine,
    precision,
    manifest,
    provenance: await provenanceOf(request, choice, text),
    notes: [...choice.notes, checked],
    seconds: (performance.now() - started) / 1000,
  };
  return buildReportSchema.parse(report);
}

async function pack(
  { target, cacheDir, dataDir, signal, log, progress }: PackageRequest,
  folder: string,
  files: NativeManifest['files'],
): Promise<void> {
  const output = join(dataDir, 'files.tar.zst');
  await writeArchive({
    folder,
    files,
    compiler: target.compiler,
    cacheDir,
    output,
    signal,
    progress: (fraction) => progress(0.8 + fraction * 0.19, 'packing'),
  });
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  const { size: packed } = await stat(output);
  log(`${files.length} files, ${mb(files.reduce((sum, file) => sum + file.sizeBytes, 0))}; packed ${mb(packed)}`);
}
