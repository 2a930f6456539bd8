import { AppError, type PreprocSpec, preprocSchema, type TensorSet } from '@selvedge/contract';
import { applyPreproc, type PixelTensor, splitPreproc } from '@selvedge/graph/ops';
import * as z from 'zod';
import { tensorExample } from '../examples/tensor-example.ts';
import { defineTool } from '../kit/index.ts';
import { readExtras } from '../tensor-set/copy-rows.ts';
import { hasBoxes, hasGroups, openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';

const parametersSchema = z.strictObject({ preproc: preprocSchema });

/** Makes the tensors that the network reads: the part of `preproc` from the first change of layout or value range on. */
export const exportTool = defineTool({
  name: 'export',
  description: 'Turns pixels into the input tensors of the network: the tensor operations of preproc',
  class: 'data',
  makes: 'tensors',
  parameters: parametersSchema,
  inputs: { pixels: 'pixels made by the process tool' },
  example: async () => ({
    parameters: { preproc: { pipeline: ['hwctochw'] } },
    inputs: { pixels: await tensorExample('HWC', [4, 4, 1], { train: 6, test: 2 }) },
  }),
  async create({ parameters, inputs, dataDir, signal, log, progress }) {
    const info = await readTensorSetInfo(inputs.pixels);
    const { convert, shape } = info.layout === 'vector' ? vectorExport(info, parameters.preproc) : pixelExport(info, parameters.preproc);
    const writer = new TensorSetWriter(dataDir, { labels: info.labels, ...shape, hasBoxes: hasBoxes(info), hasGroups: hasGroups(info) });
    const total = Object.values(info.splits).reduce((sum, split) => sum + split.count, 0);
    let done = 0;
    try {
      for (const split of Object.keys(info.splits)) {
        const reader = await openSplit(inputs.pixels, info, split);
        try {
          const extras = await readExtras(reader);
          await writer.writeSplit(split, reader.count, async (add) => {
            for (let row = 0; row < reader.count; row += 1) {
              signal.throwIfAborted();
              await add(convert(await reader.x.readRows(row, 1)), await reader.y.readRows(row, 1), extras.rows(row, 1));
              done += 1;
              if (done % 256 === 0) progress(done / total, `${done} of ${total} tensors`);
            }
          });
        } finally {
          await reader.close();
        }
        log(`${split}: ${reader.count} tensors of ${shape.sampleShape.join(' x ')} (${shape.layout})`);
      }
      await writer.writeInfo();
    } finally {
      await writer.release();
    }
  },
});

interface Export {
  convert(values: Float32Array): Float32Array;
  readonly shape: { readonly layout: TensorSet['layout']; readonly sampleShape: number[]; readonly range?: TensorSet['range'] };
}

function pixelExport(info: TensorSet, preproc: PreprocSpec): Export {
  const spec = splitPreproc(preproc).tensor;
  const convert = (pixels: Float32Array) => applyPreproc(pixelTensor(info, pixels), spec);
  const size = info.sampleShape.reduce((product, dim) => product * dim, 1);
  const [black, white] = [convert(new Float32Array(size)), convert(new Float32Array(size).fill(255))];
  const range = { black: firstPixel(black), white: firstPixel(white) };
  return { convert: (pixels) => convert(pixels).data, shape: { ...shapeOf(black), range } };
}

/** The rows of a table go through; the process tool has refused operations on pixels. */
function vectorExport({ sampleShape }: TensorSet, { pipeline }: PreprocSpec): Export {
  if (pipeline.length > 0)
    throw new AppError('PREPROC_INVALID', { message: `"${pipeline[0]}" works on pictures, and the samples are rows of a table.` });
  return { convert: (values) => values, shape: { layout: 'vector', sampleShape } };
}

function pixelTensor(info: TensorSet, data: Float32Array): PixelTensor {
  const [height = 0, width = 0, channels = 0] = info.sampleShape;
  if (info.layout !== 'HWC') throw new AppError('DATASET_FORMAT', { message: 'The input is not pixels: its layout is CHW already.' });
  return { layout: 'HWC', height, width, channels, data };
}

function shapeOf({ layout, height, width, channels }: PixelTensor): { layout: 'HWC' | 'CHW'; sampleShape: number[] } {
  return { layout, sampleShape: layout === 'CHW' ? [channels, height, width] : [height, width, channels] };
}

/** One value per channel. */
function firstPixel({ layout, channels, data }: PixelTensor): number[] {
  const stride = layout === 'CHW' ? data.length / channels : 1;
  return Array.from({ length: channels }, (_, channel) => data[channel * stride] ?? 0);
}
