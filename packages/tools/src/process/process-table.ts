import { join } from 'node:path';
import { AppError, type DatasetInfo, type PreprocSpec, tableSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import { openNpy } from '../npy/index.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { labelIndices } from './map-labels.ts';

/** Rows that are copied at once, in values: 4 MB. */
const CHUNK_VALUES = 1024 * 1024;

interface ProcessTableOptions {
  readonly preproc: PreprocSpec;
  readonly path: { readonly train?: string | undefined; readonly test: string };
  /** Classes by whose names those of the dataset are counted; default: its own. */
  readonly labels?: readonly string[] | undefined;
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
export async function processTable({
  preproc,
  path,
  folder,
  info,
  dataDir,
  signal,
  log,
  labels = info.labels,
}: ProcessTableOptions): Promise<void> {
  const [op] = preproc.pipeline;
  if (op !== undefined) {
    throw new AppError('PREPROC_INVALID', {
      message: `"${op}" works on pictures, and the dataset is a table.`,
      hint: 'Use "preproc": {"pipeline": []}.',
    });
  }
  const table = await readJsonFile(join(folder, 'files', 'table.json'), tableSchema);
  if (table === undefined) throw new AppError('DATASET_FORMAT', { message: 'The dataset is a table and has no files/table.json.' });
  const writer = new TensorSetWriter(dataDir, { labels, sampleShape: [table.features.length], layout: 'vector' });
  const indexOf = labelIndices(info.labels, labels);
  try {
    for (const use of ['train', 'test'] as const) {
      const wanted = path[use];
      if (wanted === undefined) continue;
      const split = wanted.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
      if (info.splits[split] === undefined) {
        throw new AppError('INPUT_INVALID', {
          message: `dataset.path.${use} ${JSON.stringify(wanted)} is no split of the table.`,
          hint: `Splits of the dataset: ${Object.keys(info.splits).join(', ')}.`,
        });
      }
      await copySplit(join(folder, 'files'), { split, use, features: table.features.length, indexOf }, writer, signal);
      log(`${use}: ${info.splits[split]} rows of ${table.features.length} features`);
    }
    await writer.writeInfo();
  } finally {
    await writer.release();
  }
}

async function copySplit(
  folder: string,
  { split, use, features, indexOf }: { split: string; use: string; features: number; indexOf: readonly number[] },
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
        const labels = (await y.readRows(at, count)).map((label) => BigInt(indexOf[Number(label)] ?? -1));
        await add(await x.readRows(at, count), labels);
      }
    });
  } finally {
    await x.close();
    await y.close();
  }
}
