import { basename, extname, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { listFilePaths, unpackZip } from '../../kit/index.ts';
import { encodePng } from '../encode-png.ts';
import type { PictureSource, Source, SourceFolder, SourceSample, TableSource } from '../source-sample.ts';
import { NpzArray } from './npz-array.ts';
import { sortLabels } from './sort-labels.ts';
import { splitInName } from './split-names.ts';

const X_NAMES = ['x', 'data', 'images', 'features', 'inputs', 'arr_0'];
const Y_NAMES = ['y', 'labels', 'label', 'targets', 'target', 'classes', 'arr_1'];

interface Pair {
  readonly split: string | undefined;
  readonly x: NpzArray;
  readonly y: NpzArray;
}

/** True when there is NumPy data and nothing else that holds data. */
export function isNumpyOnly(paths: readonly string[]): boolean {
  return paths.some(isNumpy) && paths.every((path) => isNumpy(path) || ['.txt', '.md', '.json'].includes(extname(path).toLowerCase()));
}

function isNumpy(path: string): boolean {
  return ['.npz', '.npy'].includes(extname(path).toLowerCase());
}

/**
 * Reads NumPy arrays in pairs, `x` with `y`, as x_train and y_train, or as train.npz with x and y. [N, H, W], [N, H, W, 1] and
 * [N, H, W, 3] of unsigned bytes are pictures, [N, F] are the rows of a table. `y` is [N] or [N, 1], of whole numbers.
 *
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readNpz(folder: SourceFolder): Promise<Source> {
  const pairs = await pairUp(folder);
  const labels: Int32Array[] = [];
  for (const pair of pairs) labels.push(await readLabels(pair, folder.signal));
  const [first] = pairs;
  if (first === undefined) throw new AppError('DATASET_FORMAT', { message: 'There are no arrays x and y in the data.' });
  const shape = first.x.shape.slice(1);
  for (const { x } of pairs) {
    if (x.shape.slice(1).join() !== shape.join())
      throw new AppError('DATASET_FORMAT', { message: `${x.name} has samples of [${x.shape.slice(1)}], ${first.x.name} of [${shape}].` });
  }
  const values = new Set(labels.flatMap((one) => [...new Set(one)]));
  // Every value up to the largest is a class, so that the class index is the value in the file.
  const classes = Array.from({ length: Math.max(...values) + 1 }, (_, value) => String(value));
  const known = pairs.length > 1 ? pairs : pairs.map((pair) => ({ ...pair, split: undefined }));
  const what = `NPZ (${pairs.map(({ x, y }) => `${x.name} [${x.shape.join(', ')}] with ${y.name}`).join('; ')})`;
  return shape.length === 1 ? asTable(known, labels, classes, what) : asPictures(known, labels, classes, what);
}

async function pairUp({ root, paths, scratch, signal }: SourceFolder): Promise<Pair[]> {
  const found = new Map<string, { split: string | undefined; x?: NpzArray; y?: NpzArray }>();
  const add = async (path: string, name: string, fileSplit: string | undefined) => {
    const stem = basename(name, '.npy').toLowerCase();
    const split = splitInName(stem) ?? fileSplit;
    const kind = stem.replace(/[-_.]?(training|train|validation|valid|val|testing|test)[-_.]?/, '');
    const side = X_NAMES.includes(kind) ? 'x' : Y_NAMES.includes(kind) ? 'y' : undefined;
    if (side === undefined) return;
    const pair = found.get(split ?? '') ?? { split };
    if (pair[side] !== undefined)
      throw new AppError('DATASET_FORMAT', { message: `${name} and ${pair[side].name} are the same part of the data.` });
    pair[side] = await NpzArray.open(path, name);
    found.set(split ?? '', pair);
  };
  for (const [number, path] of paths.entries()) {
    if (path.toLowerCase().endsWith('.npy')) await add(join(root, path), path, undefined);
    if (!path.toLowerCase().endsWith('.npz')) continue;
    const unpacked = `${scratch}-npz-${number}`;
    await unpackZip(join(root, path), unpacked, signal);
    for (const inner of await listFilePaths(unpacked)) await add(join(unpacked, inner), `${path}/${inner}`, splitInName(basename(path)));
  }
  return [...found.values()].map(({ split, x, y }) => {
    if (x === undefined || y === undefined) {
      const message = x === undefined ? `${y?.name} has no x beside it.` : `${x.name} has no y beside it.`;
      throw new AppError('DATASET_FORMAT', {
        message,
        hint: `Names that are read: ${[...X_NAMES, ...Y_NAMES].join(', ')}; with _train, _val, _test.`,
      });
    }
    return { split, x, y };
  });
}

async function readLabels({ x, y }: Pair, signal: AbortSignal): Promise<Int32Array> {
  if (y.rowLength !== 1 || y.count !== x.count || x.shape.length < 2) {
    throw new AppError('DATASET_FORMAT', {
      message: `${x.name} is [${x.shape.join(', ')}] and ${y.name} [${y.shape.join(', ')}]; expected [N, ...] and [N].`,
    });
  }
  const labels = new Int32Array(y.count);
  let row = 0;
  for await (const [value = Number.NaN] of y.rows(signal)) {
    if (!Number.isInteger(value) || value < 0 || value >= 100_000)
      throw new AppError('DATASET_FORMAT', { message: `${y.name}[${row}] is ${value}; a class is a whole number from 0.` });
    labels[row] = value;
    row += 1;
  }
  return labels;
}

function asPictures(pairs: readonly Pair[], labels: readonly Int32Array[], classes: readonly string[], what: string): PictureSource {
  const samples: SourceSample[] = [];
  for (const [at, { split, x }] of pairs.entries()) {
    const [height = 0, width = 0, depth = 1] = x.shape.slice(1);
    if (x.descr !== '|u1' || x.shape.length > 4 || (depth !== 1 && depth !== 3) || height * width === 0) {
      throw new AppError('DATASET_FORMAT', {
        message: `${x.name} is ${x.descr} [${x.shape.join(', ')}]; pictures are uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3].`,
      });
    }
    const channels = depth === 3 ? 3 : 1;
    for (let row = 0; row < x.count; row += 1) {
      const label = String(labels[at]?.[row] ?? 0);
      const path = `${split ?? 'all'}/${label}/${String(row).padStart(6, '0')}.png`;
      samples.push({ path, split, label, content: { encode: async () => encodePng(await x.rowBytes(row), { width, height, channels }) } });
    }
  }
  const notes: string[] = [];
  return {
    kind: 'pictures',
    format: 'npz',
    type: 'image-classification',
    layout: what,
    labels: sortLabels(classes),
    samples,
    faults: [],
    notes,
  };
}

function asTable(pairs: readonly Pair[], labels: readonly Int32Array[], classes: readonly string[], what: string): TableSource {
  const features = Array.from({ length: pairs[0]?.x.rowLength ?? 0 }, (_, i) => `x${i}`);
  const total = labels.reduce((sum, one) => sum + one.length, 0);
  const rowLabels = new Int32Array(total);
  const ends: { end: number; split: string | undefined }[] = [];
  let end = 0;
  for (const [at, { split }] of pairs.entries()) {
    rowLabels.set(labels[at] ?? [], end);
    end += labels[at]?.length ?? 0;
    ends.push({ end, split });
  }
  return {
    kind: 'table',
    format: 'npz',
    layout: what,
    labels: classes,
    table: { formatVersion: 1, labelColumn: 'y', columns: features.map((name) => ({ name, type: 'number' as const })), features },
    rowLabels,
    splitOf: (row) => ends.find((part) => row < part.end)?.split,
    async *rows(signal) {
      for (const { x } of pairs) for await (const row of x.rows(signal)) yield Float32Array.from(row);
    },
    faults: [],
    notes: [],
  };
}
