import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, hyperparamsSchema, trainBlockSchema, trainingReportSchema } from '@selvedge/contract';
import * as z from 'zod';
import { tensorExample } from '../examples/tensor-example.ts';
import { defineTool } from '../kit/index.ts';
import { readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { planJob, trainingResources } from './resources.ts';

const parametersSchema = z.strictObject({
  hyperparams: hyperparamsSchema,
  /** The `train` block of the pipeline. */
  train: trainBlockSchema.optional(),
});

/** Trains a network and leaves it as ONNX, with the weights of the best epoch. */
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
  job: async ({ train }) => planJob(train),
  example: async () => ({
    parameters: { hyperparams: { lr: 0.01, batch_size: 4, epochs: 2 } },
    inputs: { 'training-set': await tensorExample('CHW', [1, 12, 12], { train: 16, validation: 4, test: 4 }) },
  }),
  async create({ parameters, inputs, dataDir, log, usage, ...ctx }) {
    const { hyperparams, train = {} } = parameters;
    const base = await readBase(inputs.model, train.from);
    const resources = trainingResources(train.resources);
    const folder = inputs['training-set'];
    const info = await readTensorSetInfo(folder);
    // Loaded here, so that an idle tool does not hold the graph code and ONNX Runtime.
    const { trainNetwork } = await import('./train-network.ts');
    const metadata = { 'selvedge.labels': JSON.stringify(info.labels), 'selvedge.parameters': JSON.stringify(parameters) };
    const result = await trainNetwork({ ...ctx, log, folder, info, hyperparams, train, base, resources, metadata });
    const report = trainingReportSchema.parse({
      formatVersion: 1,
      parameters,
      epochs: result.epochs,
      bestEpoch: result.best.epoch,
      seconds: result.seconds,
      metrics: result.best.metrics,
      inputs: result.inputs,
      outputs: result.outputs,
      resources: await usage(),
    });
    await writeFile(join(dataDir, 'model.onnx'), result.model);
    await writeFile(join(dataDir, 'training.json'), `${JSON.stringify(report, null, 2)}\n`);
    log(`kept epoch ${result.best.epoch}; ${result.seconds.toFixed(1)} s of training`);
  },
});

/** The model to be fine-tuned: input and parameter go together, so that the record of a training says what it began with. */
async function readBase(folder: string | undefined, from: string | undefined): Promise<Uint8Array | undefined> {
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
  return new Uint8Array(await readFile(join(folder, name)));
}
