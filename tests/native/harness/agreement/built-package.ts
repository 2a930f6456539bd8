import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildOptions, BuildReport } from '@selvedge/contract';
import { inspectModel, writeModel } from '@selvedge/graph/onnx';
import { sha256Hex } from '@selvedge/runtime';
import type { InstalledTarget } from '@selvedge/toolchain';
import { buildPackage } from '../../../../packages/tools/src/build/build-package.ts';
import { openBuildSamples } from '../../../../packages/tools/src/build/samples.ts';
import { TEST_OBJECTS_DIR } from '../targets.ts';
import type { AgreementModel } from './agreement-model.ts';

export interface BuiltPackage {
  readonly report: BuildReport;
  /** Its files, unpacked. */
  readonly files: string;
}

export interface PackageToBuild {
  readonly model: AgreementModel;
  readonly target: InstalledTarget;
  readonly build: BuildOptions;
  /** Where the samples of `writeSampleSet` are. */
  readonly samples: string;
  /** Folder for everything that building leaves. */
  readonly folder: string;
}

/** Nobody reads the archives here: packing the libraries as tightly as for a device would take most of the time. */
async function withQuickPacking(target: InstalledTarget, folder: string): Promise<InstalledTarget> {
  const zstd = join(folder, 'zstd');
  await writeFile(zstd, `#!/bin/sh\nexec '${target.compiler.zstd}' -1 -q -c\n`);
  await chmod(zstd, 0o755);
  return { ...target, compiler: { ...target.compiler, zstd } };
}

/** Builds a package with the build tool's own functions. */
export async function buildTestPackage(given: PackageToBuild): Promise<BuiltPackage> {
  const { model, build, folder } = given;
  const bytes = writeModel(model.model);
  const { inputs, outputs } = inspectModel(model.model);
  const [scratch, dataDir] = [join(folder, 'scratch'), join(folder, 'data')];
  await mkdir(dataDir, { recursive: true });
  const target = await withQuickPacking(given.target, folder);
  const samples = await openBuildSamples(given.samples);
  try {
    const report = await buildPackage({
      parameters: {
        ...{ model: model.name, version: '1', target: target.name, modelSha256: sha256Hex(bytes), build, inputs, outputs },
        ...{ labels: [...model.labels], preproc: model.preproc, postproc: model.postproc, metric: 'accuracy' },
      },
      target,
      bytes,
      goldenInput: undefined,
      samples,
      scratch,
      cacheDir: TEST_OBJECTS_DIR,
      dataDir,
      signal: new AbortController().signal,
      log: () => undefined,
      progress: () => undefined,
    });
    return { report, files: join(scratch, 'package') };
  } finally {
    await samples.close();
  }
}

/** A package of the engine onnxruntime with another model: its executable and libraries are the same for all. */
export async function withModel(files: string, model: AgreementModel, onnx: Uint8Array, folder: string): Promise<string> {
  await cp(files, folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), onnx);
  const path = join(folder, 'manifest.json');
  const { labels, preproc, postproc, name } = model;
  const manifest: object = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...manifest, model: name, labels, preproc, postproc, goldenFile: null }));
  return folder;
}
