import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type DatasetFile, type PreprocSpec, pipelineSpecSchema, preprocSchema } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { preprocessImage, splitPreproc } from '@selvedge/graph/ops';
import { confinePath } from '@selvedge/runtime';
import * as z from 'zod';
import { readDataset, selectFiles } from '../dataset/read-dataset.ts';
import { datasetExample } from '../examples/dataset-example.ts';
import { defineTool } from '../kit/index.ts';
import { mapConcurrently } from '../sampling/map-concurrently.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { processTable } from './process-table.ts';

const parametersSchema = z.strictObject({
  preproc: preprocSchema,
  /** dataset.path of the pipeline: a split's name or a folder in the dataset. */
  path: pipelineSpecSchema.shape.dataset.shape.path,
});

/** Pictures that are decoded before they are written; bounds the memory. */
const CHUNK = 64;
const CONCURRENCY = 4;

interface Pixels {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Decodes the pictures and brings them to one size: the part of `preproc` that works on pixels. */
export const processTool = defineTool({
  name: 'process',
  description: 'Decodes the pictures of a dataset and applies the pixel operations of preproc',
  class: 'data',
  makes: 'pixels',
  parameters: parametersSchema,
  inputs: { dataset: 'a dataset in the standard form' },
  example: async () => ({
    parameters: { preproc: { pipeline: ['hwctochw'] }, path: { train: 'train', test: 'test' } },
    inputs: { dataset: await datasetExample() },
  }),
  async create({ parameters, inputs, dataDir, signal, log, progress }) {
    const dataset = await readDataset(inputs.dataset);
    if (dataset.info.type === 'tabular')
      return processTable({ ...parameters, folder: inputs.dataset, info: dataset.info, dataDir, signal, log });
    if (dataset.info.type === 'object-detection') {
      throw new AppError('INPUT_INVALID', { message: 'The dataset has boxes; what is made here are the pixels of a classifier.' });
    }
    const spec = splitPreproc(parameters.preproc).pixels;
    const splits = {
      train: selectFiles(dataset, parameters.path.train, 'train'),
      test: selectFiles(dataset, parameters.path.test, 'test'),
    };
    const folder = join(inputs.dataset, 'files');
    const first = await readPixels(folder, splits.train[0], spec);
    const writer = new TensorSetWriter(dataDir, { labels: dataset.info.labels, sampleShape: first.shape, layout: 'HWC' });
    const total = splits.train.length + splits.test.length;
    let done = 0;
    try {
      for (const [split, files] of Object.entries(splits)) {
        await writer.writeSplit(split, files.length, async (add) => {
          for (let at = 0; at < files.length; at += CHUNK) {
            const chunk = files.slice(at, at + CHUNK);
            const pixels = await mapConcurrently(chunk, CONCURRENCY, signal, (file) => readPixels(folder, file, spec, first.shape));
            for (const { data } of pixels) await add(data, new BigInt64Array(0));
            await add(
              new Float32Array(0),
              BigInt64Array.from(chunk, (file) => BigInt(file.label ?? 0)),
            );
            done += chunk.length;
            progress(done / total, `${done} of ${total} pictures`);
          }
        });
        log(`${split}: ${files.length} pictures of ${first.shape.join(' x ')}`);
      }
      await writer.writeInfo();
    } finally {
      await writer.release();
    }
  },
});

async function readPixels(folder: string, file: DatasetFile | undefined, spec: PreprocSpec, expected?: readonly number[]): Promise<Pixels> {
  if (file === undefined) throw new AppError('DATASET_FORMAT', { message: 'The dataset is empty.' });
  const bytes = await readFile(confinePath(folder, file.path));
  const image = await decodeImage(bytes).catch((error: unknown) => {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(error.code, { ...error.details, message: `${file.path}: ${error.message}` }, { cause: error });
  });
  const pixels = preprocessImage(image, spec);
  if (expected !== undefined && pixels.shape.join() !== expected.join()) {
    throw new AppError('PREPROC_INVALID', {
      message: `${file.path} has ${pixels.shape.join(' x ')} values after the pixel operations, the pictures before it ${expected.join(' x ')}.`,
      hint: 'Add "resize", "letterbox" or "centercrop" to preproc.pipeline, so that all pictures get one size.',
    });
  }
  return pixels;
}
