import { access, constants, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, goldenSampleSchema } from '@selvedge/contract';
import { readJsonFile, systemErrorCode } from '@selvedge/runtime';
import { curveName } from '../benchmark/curve-name.ts';
import { defineTool } from '../kit/index.ts';
import { buildParametersSchema } from './parameters.ts';

/** Path of an input's file: the only one, whatever its name, or the only one with this ending. */
async function findInput(folder: string, ending: string, what: string): Promise<string> {
  const all = await readdir(folder);
  const names = all.length === 1 ? all : all.filter((name) => name.endsWith(ending));
  const [name] = names;
  if (name === undefined || names.length !== 1) {
    throw new AppError('INPUT_INVALID', { message: `The input "${what}" must hold one file *${ending}; it holds ${names.length}.` });
  }
  return join(folder, name);
}

async function readGoldenInput(folder: string | undefined): Promise<{ shape: number[]; data: Float32Array } | undefined> {
  if (folder === undefined) return undefined;
  const golden = await readJsonFile(await findInput(folder, '.json', 'golden'), goldenSampleSchema);
  return golden === undefined ? undefined : { shape: golden.input.shape, data: Float32Array.from(golden.input.data) };
}

/** Folder of the installed targets, as the server and the CLI have it. */
function targetsFolder(): string {
  const folder = process.env.SELVEDGE_TARGETS_DIR;
  if (folder !== undefined && folder !== '') return folder;
  throw new AppError('SETUP_INCOMPLETE', {
    message: 'SELVEDGE_TARGETS_DIR is not set: the tool does not know where targets are installed.',
  });
}

/** Where compiled objects are kept: with the toolchain, so that a new data folder need not compile the runtime again. */
async function objectsFolder(shared: string, own: string): Promise<string> {
  try {
    await mkdir(shared, { recursive: true });
    await access(shared, constants.W_OK);
    return shared;
  } catch (error) {
    // installed by somebody else, for reading only
    if (!['EACCES', 'EROFS', 'EPERM'].includes(systemErrorCode(error) ?? '')) throw error;
    return join(own, 'objects');
  }
}

/** The Deploy Module: one model version for one target, as a native package. */
export const buildTool = defineTool({
  name: 'build',
  description: 'Builds a model and its processing as one native executable for a target',
  class: 'models',
  makes: 'package',
  parameters: buildParametersSchema,
  inputs: {
    model: 'the ONNX file of the version',
    golden: { description: 'its golden sample', optional: true },
    samples: { description: 'tensors made by the split tool, for calibration and scores', optional: true },
  },
  async create({ parameters, inputs, dataDir, checkpointDir, cacheDir, signal, log, progress, metric }) {
    // Loaded here, so that an idle tool holds neither the graph code nor ONNX Runtime.
    const { objectCacheLimit, objectsDirOf, requireTarget } = await import('@selvedge/toolchain');
    const target = await requireTarget(targetsFolder(), parameters.target);
    if (!target.isUpToDate)
      log(
        `the toolchain for ${target.name} was installed by an older recipe: "selvedge target install ${target.name}" brings it up to date`,
      );
    const { buildPackage } = await import('./build-package.ts');
    const { openBuildSamples } = await import('./samples.ts');
    const samples = inputs.samples === undefined ? undefined : await openBuildSamples(inputs.samples);
    try {
      const report = await buildPackage({
        parameters,
        target,
        bytes: await readFile(await findInput(inputs.model, '.onnx', 'model')),
        goldenInput: await readGoldenInput(inputs.golden),
        samples,
        scratch: join(checkpointDir, 'build'),
        cacheDir: await objectsFolder(objectsDirOf(targetsFolder()), cacheDir),
        cacheLimitBytes: objectCacheLimit(process.env),
        dataDir,
        signal,
        log,
        progress,
      });
      const { built } = report.manifest.benchmark;
      for (const [name, value] of Object.entries(built)) metric(curveName(name), 1, value);
      await writeFile(join(dataDir, 'build.json'), `${JSON.stringify(report, null, 2)}\n`);
      log(`built in ${report.seconds.toFixed(1)} s`);
    } finally {
      await samples?.close();
    }
  },
});
