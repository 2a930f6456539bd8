import { join } from 'node:path';
import { AppError, type TensorSet, tensorSetSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import { type NpyReader, openNpy } from '../npy/index.ts';

/** One split, row by row. */
export interface SplitReader {
  readonly count: number;
  /** float32, [count, ...sampleShape]. */
  readonly x: NpyReader<'float32'>;
  /** int64, [count]. */
  readonly y: NpyReader<'int64'>;
  /** The class index of every row, checked against the labels. */
  readLabels(): Promise<Int32Array>;
  close(): Promise<void>;
}

/**
 * Reads info.json of a tensor set.
 *
 * @throws AppError DATASET_FORMAT (user) when the folder holds something else.
 */
export async function readTensorSetInfo(folder: string): Promise<TensorSet> {
  const info = await readJsonFile(join(folder, 'info.json'), tensorSetSchema);
  if (info === undefined) throw new AppError('DATASET_FORMAT', { message: 'The input has no info.json: it is not a set of tensors.' });
  return info;
}

/**
 * Opens one split of a tensor set.
 *
 * @throws AppError DATASET_FORMAT (user) when it is not there or its files do not fit info.json.
 */
export async function openSplit(folder: string, info: TensorSet, split: string): Promise<SplitReader> {
  const entry = Object.hasOwn(info.splits, split) ? info.splits[split] : undefined;
  if (entry === undefined) {
    throw new AppError('DATASET_FORMAT', { message: `The input has no split "${split}"; it has ${Object.keys(info.splits).join(', ')}.` });
  }
  const x = await openNpy(join(folder, entry.x), 'float32');
  const y = await openNpy(join(folder, entry.y), 'int64').catch(async (error: unknown) => {
    await x.close();
    throw error;
  });
  const close = async () => {
    await x.close();
    await y.close();
  };
  const shape = [entry.count, ...info.sampleShape];
  if (x.header.shape.join() !== shape.join() || y.header.shape.join() !== String(entry.count)) {
    await close();
    throw new AppError('DATASET_FORMAT', {
      message: `Split "${split}" should have the shape [${shape.join(', ')}] and has [${x.header.shape.join(', ')}], with ${y.count} labels.`,
    });
  }
  const readLabels = async () => {
    const labels = Int32Array.from(await y.readAll(), Number);
    const wrong = labels.find((label) => label < 0 || label >= info.labels.length);
    if (wrong !== undefined)
      throw new AppError('DATASET_FORMAT', { message: `Split "${split}" has the class ${wrong} of ${info.labels.length}.` });
    return labels;
  };
  return { count: entry.count, x, y, readLabels, close };
}
