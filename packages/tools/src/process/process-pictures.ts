import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type DatasetFile, type PreprocSpec } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { type LabelledBox, preprocessBoxes, preprocessImage, splitPreproc } from '@selvedge/graph/ops';
import { confinePath } from '@selvedge/runtime';
import { type ReadDataset, selectFiles } from '../dataset/read-dataset.ts';
import { mapConcurrently } from '../sampling/map-concurrently.ts';
import { BOX_VALUES, type SampleExtras, TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { labelIndices } from './map-labels.ts';

/** Pictures that are decoded before they are written; bounds the memory. */
const CHUNK = 64;
const CONCURRENCY = 4;

interface ProcessPicturesOptions {
  readonly preproc: PreprocSpec;
  readonly path: { readonly train?: string | undefined; readonly test: string };
  /** Classes by whose names those of the dataset are counted; default: its own. */
  readonly labels?: readonly string[] | undefined;
  /** Of the dataset. */
  readonly folder: string;
  readonly dataset: ReadDataset;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  log(text: string): void;
  progress(fraction: number, message: string): void;
}

interface Pixels {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** Where the objects are after the pixel operations; empty for classification. */
  readonly boxes: readonly LabelledBox[];
}

/**
 * Decodes the pictures and brings them to one size; boxes follow, and those that a crop cuts away are left out.
 *
 * @throws AppError INPUT_INVALID (user) when a path selects nothing, or the dataset has a class that `labels` has not; IMAGE_UNREADABLE; PREPROC_INVALID for pictures of
 * different sizes.
 */
export async function processPictures(options: ProcessPicturesOptions): Promise<void> {
  const { dataset, path, dataDir, signal, log, progress } = options;
  const spec = splitPreproc(options.preproc).pixels;
  const labels = options.labels ?? dataset.info.labels;
  const indexOf = labelIndices(dataset.info.labels, labels);
  const select = (use: 'train' | 'test', from: string) => selectFiles(dataset, from, use).map((file) => relabelled(file, indexOf));
  const train = path.train === undefined ? undefined : select('train', path.train);
  const splits = { ...(train && { train }), test: select('test', path.test) };
  const all = Object.values(splits).flat();
  const folder = join(options.folder, 'files');
  const first = await readPixels(folder, all[0], spec);
  const isDetection = dataset.info.type === 'object-detection';
  const groupOf = numberGroups(all);
  const writer = new TensorSetWriter(dataDir, {
    labels,
    sampleShape: first.shape,
    layout: 'HWC',
    hasBoxes: isDetection,
    hasGroups: groupOf !== undefined,
  });
  const total = all.length;
  let done = 0;
  try {
    for (const [split, files] of Object.entries(splits)) {
      let [given, kept] = [0, 0];
      await writer.writeSplit(split, files.length, async (add) => {
        for (let at = 0; at < files.length; at += CHUNK) {
          const chunk = files.slice(at, at + CHUNK);
          const pixels = await mapConcurrently(chunk, CONCURRENCY, signal, (file) => readPixels(folder, file, spec, first.shape));
          for (const { data } of pixels) await add(data, new BigInt64Array(0));
          const { y, extras } = annotationsOf(chunk, pixels, isDetection, groupOf);
          await add(new Float32Array(0), y, extras);
          given += chunk.reduce((sum, { boxes = [] }) => sum + boxes.length, 0);
          kept += pixels.reduce((sum, { boxes }) => sum + boxes.length, 0);
          done += chunk.length;
          progress(done / total, `${done} of ${total} pictures`);
        }
      });
      const cut = given === kept ? '' : ` (${given - kept} more are cut away by the pixel operations)`;
      log(`${split}: ${files.length} pictures of ${first.shape.join(' x ')}${isDetection ? `, ${kept} boxes${cut}` : ''}`);
    }
    await writer.writeInfo();
  } finally {
    await writer.release();
  }
}

/** The same file by the classes that were asked for. */
function relabelled(file: DatasetFile, indexOf: readonly number[]): DatasetFile {
  const index = (label: number) => indexOf[label] ?? label;
  return {
    ...file,
    ...(file.label === undefined ? {} : { label: index(file.label) }),
    ...(file.boxes === undefined ? {} : { boxes: file.boxes.map((box) => ({ ...box, label: index(box.label) })) }),
  };
}

function annotationsOf(
  files: readonly DatasetFile[],
  pixels: readonly Pixels[],
  isDetection: boolean,
  groupOf: ReadonlyMap<DatasetFile, bigint> | undefined,
): { y: BigInt64Array; extras: SampleExtras } {
  const groups = groupOf && BigInt64Array.from(files, (file) => groupOf.get(file) ?? 0n);
  if (!isDetection) return { y: BigInt64Array.from(files, ({ label }) => BigInt(label ?? 0)), extras: { groups } };
  const rows = pixels.flatMap(({ boxes }) => boxes.flatMap(({ box, index }) => [index, ...box]));
  if (rows.length % BOX_VALUES !== 0) throw new Error('A box has an index and four edges');
  return { y: BigInt64Array.from(pixels, ({ boxes }) => BigInt(boxes.length)), extras: { boxes: Float32Array.from(rows), groups } };
}

/** A number per group, in the order of the files; undefined where no file has a group. */
function numberGroups(files: readonly DatasetFile[]): Map<DatasetFile, bigint> | undefined {
  if (files.every(({ group }) => group === undefined)) return undefined;
  const numbers = new Map<string, bigint>();
  const result = new Map<DatasetFile, bigint>();
  let next = 0n;
  for (const file of files) {
    const known = file.group === undefined ? undefined : numbers.get(file.group);
    const number = known ?? next++;
    if (file.group !== undefined) numbers.set(file.group, number);
    result.set(file, number);
  }
  return result;
}

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
  const boxes = (file.boxes ?? []).map(
    ({ label, x, y, width, height }): LabelledBox => ({ box: [x, y, x + width, y + height], index: label }),
  );
  return { ...pixels, boxes: preprocessBoxes(boxes, spec, [image.height, image.width]) };
}
