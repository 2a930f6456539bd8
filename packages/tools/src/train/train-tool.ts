import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, hyperparamsSchema, preprocSchema, trainBlockSchema, trainingReportSchema } from '@selvedge/contract';
import * as z from 'zod';
import { tensorExample } from '../examples/tensor-example.ts';
import { defineTool } from '../kit/index.ts';
import { readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { planJob, trainingResources } from './resources.ts';
import type { TrainedNetwork } from './train-network.ts';

const parametersSchema = z.strictObject({
  hyperparams: hyperparamsSchema,
  /** The `train` block of the pipeline. */
  train: trainBlockSchema.optional(),
  /** What was done to the pictures; for the engine `python`, whose script is told. */
  preproc: preprocSchema.optional(),
});

type Trained = Pick<TrainedNetwork, 'epochs' | 'best' | 'model' | 'seconds' | 'inputs' | 'outputs'>;

/** Trains a network, or has a script train one, and leaves it as ONNX. */
export const trainTool = defineTool({
  name: 'train',
  description: 'Trains a classifier, a detector or an embedding on tensors and leaves an ONNX model',
  class: 'models',
  makes: 'model',
  parameters: parametersSchema,
  inputs: {
    'training-set': 'tensors with the splits train and validation, made by the split tool',
    model: { description: 'the .onnx file that train.from names', optional: true },
  },
  job: ({ train }) => planJob(train),
  example: async () => ({
    parameters: { hyperparams: { lr: 0.01, batch_size: 4, epochs: 2 } },
    inputs: { 'training-set': await tensorExample('CHW', [1, 12, 12], { train: 16, validation: 4, test: 4 }) },
  }),
  async create(ctx) {
    const { parameters, inputs, dataDir, log, usage } = ctx;
    const { hyperparams, train = {}, preproc } = parameters;
    const basePath = await findBase(inputs.model, train.from);
    const resources = trainingResources(train.resources);
    const folder = inputs['training-set'];
    const info = await readTensorSetInfo(folder);
    const options = { ...ctx, folder, info, hyperparams, train };
    // Loaded here, so that an idle tool does not hold the graph code and ONNX Runtime.
    const { recordedTrainBlock, trainWithPython } = await import('./python/train-with-python.ts');
    const recorded = { ...parameters, ...(parameters.train === undefined ? {} : { train: recordedTrainBlock(train) }) };
    let result: Trained;
    if (train.engine === 'python') {
      result = await trainWithPython({ ...options, preproc, basePath, threads: resources.threads });
    } else {
      const { trainNetwork } = await import('./train-network.ts');
      const base = basePath === undefined ? undefined : new Uint8Array(await readFile(basePath));
      const metadata = { 'selvedge.labels': JSON.stringify(info.labels), 'selvedge.parameters': JSON.stringify(parameters) };
      result = await trainNetwork({ ...options, base, resources, metadata });
    }
    const report = trainingReportSchema.parse({
      formatVersion: 1,
      parameters: recorded,
      epochs: result.epochs,
      bestEpoch: result.best.epoch,
      seconds: result.seconds,
      metrics: result.best.metrics,
      inputs: result.inputs,
      outputs: result.outputs,
      resources: await usage(),
    });
    await writeFile(join(dataDir, 'model.onnx'), result.model);
    const { writeWeights } = await import('./write-weights.ts');
    await writeWeights(dataDir, result.model);
    await writeFile(join(dataDir, 'training.json'), `${JSON.stringify(report, null, 2)}\n`);
    log(`kept epoch ${result.best.epoch}; ${result.seconds.toFixed(1)} s of training`);
  },
});

/** The model to be fine-tuned: input and parameter go together, so that the record of a training says what it began with. */
async function findBase(folder: string | undefined, from: string | undefined): Promise<string | undefined> {
  if (folder === undefined && from === undefined) return undefined;
  if (folder === undefined || from === undefined) {
    throw new AppError('INPUT_INVALID', {
      message:
        folder === undefined
          ? 'train.from names a model, and the input "model" is not given.'
          : 'The input "model" is given, and train.from does not name it.',
      hint: 'Give both to fine-tune a model, or none to train a new one.',
    });
  }
  const names = (await readdir(folder)).filter((name) => name.endsWith('.onnx'));
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new AppError('INPUT_INVALID', { message: `The input "model" holds ${names.length} .onnx files; expected one.` });
  return join(folder, name);
}
