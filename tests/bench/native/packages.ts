// Packages for the benchmark, made by the build tool's own functions.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, type BuildReport, postprocSchema, preprocSchema } from '@selvedge/contract';
import { inspectModel, writeModel } from '@selvedge/graph/onnx';
import { preprocessImage, type RawImage } from '@selvedge/graph/ops';
import { sha256Hex } from '@selvedge/runtime';
import type { InstalledTarget } from '@selvedge/toolchain';
import { buildPackage } from '../../../packages/tools/src/build/build-package.ts';
import { type BuildSamples, openBuildSamples } from '../../../packages/tools/src/build/samples.ts';
import { TensorSetWriter } from '../../../packages/tools/src/tensor-set/tensor-set-writer.ts';
import type { TestNetwork } from './models.ts';
import { drawPicture } from './pictures.ts';
import { OBJECTS_DIR } from './places.ts';

export const CALIBRATION_PICTURES = 100;

export interface BuiltPackage {
  readonly network: TestNetwork;
  readonly target: InstalledTarget;
  readonly report: BuildReport;
  /** Its files, unpacked. */
  readonly folder: string;
  /** Generated C++ of the model; there is none for the engine onnxruntime. */
  readonly modelSource: string;
  /** The ONNX file that it was built from. */
  readonly onnx: Uint8Array;
}

export function preprocess(network: TestNetwork, image: RawImage): { shape: number[]; data: Float32Array } {
  return preprocessImage(image, preprocSchema.parse(network.preproc));
}

/** The training set that calibration reads: pictures of the network's own size. */
async function calibrationSet(network: TestNetwork, folder: string): Promise<BuildSamples> {
  await mkdir(folder, { recursive: true });
  const [, channels = 3, height = 1, width = 1] = inspectModel(network.model).inputs[0]?.shape.map((edge) => edge ?? 1) ?? [];
  const writer = new TensorSetWriter(folder, { labels: network.labels, sampleShape: [channels, height, width], layout: 'CHW' });
  await writer.writeSplit('train', CALIBRATION_PICTURES, async (add) => {
    for (let index = 0; index < CALIBRATION_PICTURES; index++) {
      await add(preprocess(network, drawPicture(5000 + index, width, height)).data, BigInt64Array.of(0n));
    }
  });
  await writer.writeInfo();
  return openBuildSamples(folder);
}

/** Builds one package into `folder`, unless there are samples given, with calibration on synthetic pictures. */
export async function buildBenchPackage(
  network: TestNetwork,
  target: InstalledTarget,
  build: BuildOptions,
  folder: string,
  given?: BuildSamples,
): Promise<BuiltPackage> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'data'), { recursive: true });
  const onnx = writeModel(network.model);
  const { inputs, outputs } = inspectModel(network.model);
  const samples = given ?? (build.precision === 'int8' ? await calibrationSet(network, join(folder, 'samples')) : undefined);
  const size = inputs[0]?.shape.map((edge) => edge ?? 1) ?? [];
  try {
    const report = await buildPackage({
      parameters: {
        model: network.name,
        version: '1',
        target: target.name,
        modelSha256: sha256Hex(onnx),
        build: { ...build, calibration: { method: 'percentile', samples: CALIBRATION_PICTURES } },
        labels: network.labels,
        preproc: preprocSchema.parse(network.preproc),
        postproc: postprocSchema.parse(network.postproc),
        inputs,
        outputs,
        metric: 'accuracy',
      },
      target,
      bytes: onnx,
      goldenInput: { shape: size, data: preprocess(network, drawPicture(1, size[3] ?? 1, size[2] ?? 1)).data },
      samples,
      scratch: join(folder, 'scratch'),
      cacheDir: OBJECTS_DIR,
      dataDir: join(folder, 'data'),
      signal: new AbortController().signal,
      log: () => undefined,
      progress: () => undefined,
    });
    const scratch = join(folder, 'scratch');
    return { network, target, report, folder: join(scratch, 'package'), modelSource: join(scratch, 'model.cc'), onnx };
  } finally {
    if (given === undefined) await samples?.close();
  }
}
