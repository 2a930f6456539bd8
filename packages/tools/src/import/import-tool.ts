import { join } from 'node:path';
import { AppError, importOptionsSchema, resplitSchema, sha256Schema } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import * as z from 'zod';
import { defineTool } from '../kit/index.ts';
import { openSource } from './open-source.ts';
import { writePictures } from './write-pictures.ts';
import { writeTable } from './write-table.ts';

const parametersSchema = z.strictObject({
  /** Where the data is, if it is not given as the input `archive`. */
  url: z.url({ protocol: /^https?$/ }).optional(),
  sha256: sha256Schema.optional(),
  /** Share of each class that is kept for testing where the data itself does not say. */
  testShare: z.number().min(0).max(0.9).default(0.2),
  seed: z.int().min(0).max(0xffff_ffff).default(0),
  options: importOptionsSchema.default({}),
  /** Splits made anew, whatever the data says. */
  resplit: resplitSchema.optional(),
});

/** Brings a dataset into the standard form. */
export const importTool = defineTool({
  name: 'import',
  description: 'Reads labelled pictures or tables (folders, COCO, YOLO, Pascal VOC, CSV, IDX, NPZ) and stores them in the standard form',
  class: 'data',
  makes: 'dataset',
  parameters: parametersSchema,
  inputs: { archive: { description: 'tar, tar.gz, zip or single file with the data, in place of parameters.url', optional: true } },
  example: async () => {
    const rows = Array.from({ length: 10 }, (_, row) => `${row},${row % 3},${row % 2 === 0 ? 'even' : 'odd'}`);
    return { parameters: {}, inputs: { archive: { file: 'numbers.csv', text: `a,b,label\n${rows.join('\n')}\n` } } };
  },
  async create({ parameters, inputs, dataDir, cacheDir, signal, log, progress, ...ctx }) {
    const { url, sha256, testShare, seed, resplit, options } = parameters;
    if ((inputs.archive === undefined) === (url === undefined)) {
      throw new AppError('INPUT_INVALID', { message: 'Give the data either as the input "archive" or as parameters.url.' });
    }
    if (inputs.archive !== undefined && sha256 !== undefined) {
      throw new AppError('INPUT_INVALID', { message: 'parameters.sha256 belongs to parameters.url; an input has a sha256 of its own.' });
    }
    progress(0, 'Fetching the data');
    const folder = inputs.archive ?? (await ctx.fetch('archive', { url: url ?? '', sha256 }));
    progress(0, 'Looking at the data');
    const source = await openSource(folder, `${folder}-unpacked`, options, signal);
    log(`recognised ${source.layout}; ${source.labels.length} labels${options.format === undefined ? '' : ' (format given)'}`);
    for (const note of source.notes) log(note);
    const writing = {
      dataDir,
      poolDir: join(cacheDir, 'contents'),
      splits: { testShare, seed, resplit },
      import: options,
      signal,
      progress,
    };
    const info = source.kind === 'table' ? await writeTable(source, writing) : await writePictures(source, writing);
    log(
      `splits: ${Object.entries(info.splits)
        .map(([split, count]) => `${split} ${count}`)
        .join(', ')}; ${info.sizeBytes} bytes`,
    );
    log(`manifest sha256 ${await sha256File(join(dataDir, 'manifest.jsonl'), signal)}`);
  },
});
