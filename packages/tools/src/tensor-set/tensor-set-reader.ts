import { join } from 'node:path';
import { AppError, type TensorSet, tensorSetSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';
import { type NpyReader, openNpy } from '../npy/index.ts';
import { BOX_VALUES } from './tensor-set-writer.ts';

/** One split, row by row. */
export interface SplitReader {
  readonly count: number;
  /** float32, [count, ...sampleShape]. */
  readonly x: NpyReader<'float32'>;
  /** int64, [count]: class index, or number of boxes. */
  readonly y: NpyReader<'int64'>;
  /** Whether samples have boxes, and not a class. */
  readonly hasBoxes: boolean;
  /** The class index of every row, checked against the labels. @throws AppError DATASET_FORMAT when they have boxes. */
  readLabels(): Promise<Int32Array>;
  /** Per row its boxes: class index, x1, y1, x2, y2 each, checked. @throws AppError DATASET_FORMAT when there are none. */
  readBoxes(): Promise<Float32Array[]>;
  /** The group of every row; undefined where the dataset has none. */
  readGroups(): Promise<BigInt64Array | undefined>;
  close(): Promise<void>;
}

/** Whether the samples of a set have boxes, and not a class. */
export function hasBoxes({ splits }: TensorSet): boolean {
  return Object.values(splits).some(({ boxes }) => boxes !== undefined);
}

/** Whether the samples of a set have groups. */
export function hasGroups({ splits }: TensorSet): boolean {
  return Object.values(splits).some(({ groups }) => groups !== undefined);
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
  const place = { folder, split, classes: info.labels.length };
  return {
    count: entry.count,
    x,
    y,
    hasBoxes: entry.boxes !== undefined,
    readLabels: () => readLabels(y, entry, place),
    readBoxes: () => readBoxes(y, entry, place),
    readGroups: () => readGroups(entry, place),
    close,
  };
}

type Entry = TensorSet['splits'][string];

interface Place {
  readonly folder: string;
  readonly split: string;
  readonly classes: number;
}

async function readLabels(y: NpyReader<'int64'>, { boxes }: Entry, { split, classes }: Place): Promise<Int32Array> {
  if (boxes !== undefined)
    throw new AppError('DATASET_FORMAT', { message: `The samples of split "${split}" have boxes; what is asked for is their class.` });
  const labels = Int32Array.from(await y.readAll(), Number);
  const wrong = labels.find((label) => label < 0 || label >= classes);
  if (wrong !== undefined) throw new AppError('DATASET_FORMAT', { message: `Split "${split}" has the class ${wrong} of ${classes}.` });
  return labels;
}

async function readBoxes(y: NpyReader<'int64'>, { boxes }: Entry, { folder, split, classes }: Place): Promise<Float32Array[]> {
  if (boxes === undefined)
    throw new AppError('DATASET_FORMAT', { message: `The samples of split "${split}" have a class; what is asked for is their boxes.` });
  const file = await openNpy(join(folder, boxes), 'float32');
  try {
    const counts = Array.from(await y.readAll(), Number);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (file.header.shape.join() !== [total, BOX_VALUES].join() || counts.some((count) => count < 0)) {
      throw new AppError('DATASET_FORMAT', {
        message: `Split "${split}" should have boxes of the shape [${total}, ${BOX_VALUES}] and has [${file.header.shape.join(', ')}].`,
      });
    }
    const all = await file.readAll();
    for (let at = 0; at < all.length; at += BOX_VALUES) {
      const [index = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0] = all.subarray(at, at + BOX_VALUES);
      if (Number.isInteger(index) && index >= 0 && index < classes && x2 > x1 && y2 > y1) continue;
      throw new AppError('DATASET_FORMAT', {
        message: `Box ${at / BOX_VALUES} of split "${split}" is wrong: class ${index} of ${classes}, corners ${x1}, ${y1} and ${x2}, ${y2}.`,
      });
    }
    let end = 0;
    return counts.map((count) => {
      end += count * BOX_VALUES;
      return all.subarray(end - count * BOX_VALUES, end);
    });
  } finally {
    await file.close();
  }
}

async function readGroups({ groups, count }: Entry, { folder, split }: Place): Promise<BigInt64Array | undefined> {
  if (groups === undefined) return undefined;
  const file = await openNpy(join(folder, groups), 'int64');
  try {
    if (file.header.shape.join() === String(count)) return await file.readAll();
    throw new AppError('DATASET_FORMAT', { message: `Split "${split}" has ${count} samples and ${file.count} groups.` });
  } finally {
    await file.close();
  }
}
