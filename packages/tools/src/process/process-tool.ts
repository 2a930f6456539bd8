import { pipelineSpecSchema, preprocSchema } from '@selvedge/contract';
import * as z from 'zod';
import { readDataset } from '../dataset/read-dataset.ts';
import { datasetExample } from '../examples/dataset-example.ts';
import { defineTool } from '../kit/index.ts';
import { processPictures } from './process-pictures.ts';
import { processTable } from './process-table.ts';

const parametersSchema = z.strictObject({
  preproc: preprocSchema,
  /** dataset.path of the pipeline: a split's name or a folder in the dataset. Without `train` there is only what is tested on. */
  path: pipelineSpecSchema.shape.dataset.shape.path.partial({ train: true }),
  /** Classes by whose names those of the dataset are counted, in the order of the index; default: the dataset's own. */
  labels: z.array(z.string().max(256)).max(100_000).optional(),
});

/** Decodes the pictures and brings them to one size: the part of `preproc` that works on pixels. */
export const processTool = defineTool({
  name: 'process',
  description: 'Decodes the pictures of a dataset and applies the pixel operations of preproc, to boxes too',
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
    const options = { ...parameters, folder: inputs.dataset, dataDir, signal, log };
    if (dataset.info.type === 'tabular') await processTable({ ...options, info: dataset.info });
    else await processPictures({ ...options, dataset, progress });
  },
});
