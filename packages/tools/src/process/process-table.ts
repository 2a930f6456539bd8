import { join } from 'node:path';
import { AppError, type DatasetInfo, type PreprocSpec, tableSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import { openNpy } from '../npy/index.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';

/** Rows that are copied at once, in values: 4 MB. */
const CHUNK_VALUES = 1024 * 1024;

interface ProcessTableOptions {
  readonly preproc: PreprocSpec;
  readonly path: { readonly train: string; readonly test: string };
  /** Of the dataset. */
  readonly folder: string;
  readonly info: DatasetInfo;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  log(text: string): void;
}

/**
 * Hands the rows of a table on as tensors of [F], layout `vector`.
 *
 * @throws AppError PREPROC_INVALID (user) for operations on pixels; INPUT_INVALID for a split that is not there.
 */
export async function processTable({ preproc, path, folder, info, dataDir, signal, log }: ProcessTableOptions): Promise<void> {
  const [op] = preproc.pipeline;
  if (op !== undefined) {
    throw new AppError('PREPROC_INVALID', {
      message: `"${op}" works on pictures, and the dataset is a table.`,
      hint: 'Use "preproc": {"pipeline": []}.',
    });
  }
  const table = await readJsonFile(join(folder, 'files', 'table.json'), tableSchema);
  if (table === undefined) throw new AppError('DATASET_FORMAT', { message: 'The dataset is a table and has no files/table.json.' });
  const writer = new TensorSetWriter(dataDir, { labels: info.labels, sampleShape: [table.features.length], layout: 'vector' });
  try {
    for (const use of ['train', 'test'] as const) {
      const split = path[use].replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
      if (info.splits[split] === undefined) {
        throw new AppError('INPUT_INVALID', {
          message: `dataset.path.${use} ${JSON.stringify(path[use])} is no split of the table.`,
          hint: `Splits of the dataset: ${Object.keys(info.splits).join(', ')}.`,
        });
      }
      await copySplit(join(folder, 'files'), { split, use, features: table.features.length }, writer, signal);
      log(`${use}: ${info.splits[split]} rows of ${table.features.length} features`);
    }
    await writer.writeInfo();
  } finally {
    await writer.release();
  }
}

async function copySplit(
  folder: string,
  { split, use, features }: { split: string; use: string; features: number },
  writer: TensorSetWriter,
  signal: AbortSignal,
): Promise<void> {
  const x = await openNpy(join(folder, `${split}.x.npy`), 'float32');
  const y = await openNpy(join(folder, `${split}.y.npy`), 'int64').catch(async (error: unknown) => {
    await x.close();
    throw error;
  });
  const rowsAtOnce = Math.max(1, Math.floor(CHUNK_VALUES / features));
  try {
    await writer.writeSplit(use, x.count, async (add) => {
      for (let at = 0; at < x.count; at += rowsAtOnce) {
        signal.throwIfAborted();
        const count = Math.min(rowsAtOnce, x.count - at);
        await add(await x.readRows(at, count), await y.readRows(at, count));
      }
    });
  } finally {
    await x.close();
    await y.close();
  }
}
