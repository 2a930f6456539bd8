import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { AppError } from '@selvedge/contract';
import { encodePng } from '../encode-png.ts';
import type { PictureSource, SourceFolder, SourceSample } from '../source-sample.ts';
import { decodeIdx, type IdxArray } from './idx-format.ts';

const IDX_NAME = /^(.*?)[-_.]?(images|labels)[-_.]idx([13])[-_.]ubyte(\.gz)?$/i;
/** Unpacked; MNIST has 47 MB, EMNIST 550 MB. */
const MAX_IDX_BYTES = 2 * 1024 ** 3 - 1;

interface IdxPair {
  images?: string;
  labels?: string;
}

/** True for `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz` and the like. */
export function isIdxName(path: string): boolean {
  return IDX_NAME.test(basename(path));
}

/**
 * Pairs image and label files by what stands before "images" and "labels". Where there is both a `train` and another
 * pair, the split is known (`t10k` is `test`); a pair alone says nothing about it.
 */
export async function readIdx({ root, paths }: SourceFolder): Promise<PictureSource> {
  const pairs = pairUp(paths);
  if (pairs.size === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no IDX files in the data.' });
  const known = pairs.size > 1;
  const samples: SourceSample[] = [];
  const values = new Set<number>();
  for (const [prefix, { images, labels }] of pairs) {
    if (images === undefined || labels === undefined) {
      const message = images === undefined ? `${labels} has no image file beside it.` : `${images} has no label file beside it.`;
      throw new AppError('DATASET_FORMAT', {
        message,
        hint: 'IDX files come in pairs: <name>-images-idx3-ubyte and <name>-labels-idx1-ubyte.',
      });
    }
    const pictures = await readArray(root, images, 3);
    const classes = await readArray(root, labels, 1);
    const [count = 0] = pictures.shape;
    if (classes.shape[0] !== count) {
      throw new AppError('DATASET_FORMAT', { message: `${images} holds ${count} pictures and ${labels} ${classes.shape[0]} labels.` });
    }
    for (const value of new Set(classes.data)) values.add(value);
    const split = known ? splitOf(prefix) : undefined;
    for (let i = 0; i < count; i += 1) samples.push(idxSample(pictures, classes.data[i] ?? 0, i, split));
  }
  // Every value up to the largest is a class, so that the class index is the value in the file.
  const labels = Array.from({ length: Math.max(...values) + 1 }, (_, value) => String(value));
  return {
    kind: 'pictures',
    format: 'idx',
    type: 'image-classification',
    layout: `IDX (${[...pairs.keys()].join(', ')}): ${samples.length} pictures`,
    labels,
    samples,
    faults: [],
    notes: [],
  };
}

function pairUp(paths: readonly string[]): Map<string, IdxPair> {
  const pairs = new Map<string, IdxPair>();
  for (const path of paths) {
    const match = IDX_NAME.exec(basename(path));
    if (match === null) continue;
    const prefix = (match[1] ?? '').toLowerCase() || 'all';
    const kind = match[2]?.toLowerCase() === 'images' ? 'images' : 'labels';
    const pair = pairs.get(prefix) ?? {};
    if (pair[kind] !== undefined)
      throw new AppError('DATASET_FORMAT', { message: `${pair[kind]} and ${path} are the same part of the data.` });
    pair[kind] = path;
    pairs.set(prefix, pair);
  }
  return pairs;
}

function splitOf(prefix: string): string {
  if (prefix === 't10k' || prefix.endsWith('test')) return 'test';
  return prefix.endsWith('train') ? 'train' : prefix;
}

async function readArray(root: string, path: string, dimensions: number): Promise<IdxArray> {
  const packed = await readFile(join(root, path));
  let bytes: Uint8Array = packed;
  if (path.toLowerCase().endsWith('.gz')) {
    try {
      bytes = await promisify(gunzip)(packed, { maxOutputLength: MAX_IDX_BYTES });
    } catch (cause) {
      throw new AppError('DATASET_FORMAT', { message: `${path} cannot be unpacked.` }, { cause });
    }
  }
  const array = decodeIdx(bytes, path);
  if (array.shape.length !== dimensions || array.shape.some((dim) => dim === 0)) {
    throw new AppError('DATASET_FORMAT', {
      message: `${path} has the shape [${array.shape.join(', ')}], expected ${dimensions} dimension(s).`,
    });
  }
  return array;
}

function idxSample(pictures: IdxArray, label: number, index: number, split: string | undefined): SourceSample {
  const [, height = 1, width = 1] = pictures.shape;
  const name = `${String(index).padStart(6, '0')}.png`;
  return {
    path: `${split ?? 'all'}/${label}/${name}`,
    split,
    label: String(label),
    content: {
      encode: async () =>
        encodePng(pictures.data.subarray(index * height * width, (index + 1) * height * width), { width, height, channels: 1 }),
    },
  };
}
