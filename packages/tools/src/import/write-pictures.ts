import { createHash } from 'node:crypto';
import { createWriteStream, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError, type DatasetFile, type DatasetInfo, datasetFileSchema } from '@selvedge/contract';
import { decodeImage, MAX_IMAGE_BYTES } from '@selvedge/graph/image';
import { confinePath, sha256File } from '@selvedge/runtime';
import { mapConcurrently } from '../sampling/map-concurrently.ts';
import { assignPictureSplits, type PlacedSample } from './assign-splits.ts';
import { sizeOfWholePng } from './check-png.ts';
import { ContentPool } from './content-pool.ts';
import { ReportBuilder } from './dataset-report.ts';
import { Faults } from './faults.ts';
import { ACCEPTED_LAYOUTS, type PictureSource } from './source-sample.ts';
import { toBoxes } from './to-boxes.ts';
import { type WriteOptions, writeIndex } from './write-index.ts';

/** Decoding runs on the thread pool; more than this at a time only costs memory. */
const CONCURRENCY = 8;
/** Pictures whose lines are gathered before they are written. */
const CHUNK = 256;

interface Checked {
  readonly file: DatasetFile;
  readonly size: { readonly width: number; readonly height: number } | undefined;
}

/**
 * Writes pictures in the standard form: files/, manifest.jsonl (sorted by path), dataset.json, report.json. Each picture
 * is decoded once, so that a broken one is found here and not in the middle of a training.
 *
 * @throws AppError DATASET_FORMAT (user) that lists the files which cannot be used, unless they are to be skipped.
 */
export async function writePictures(source: PictureSource, options: WriteOptions): Promise<DatasetInfo> {
  const { dataDir, signal } = options;
  const faults = new Faults(source.faults, options.import.skipBroken === true);
  if (source.samples.length === 0) faults.refuse();
  checkLabels(source);
  const writer = new PictureWriter(source, options, faults);
  await writer.pool.sweep(signal);
  const contents = options.splits.resplit === undefined ? new Map<string, string>() : await digests(source, signal);
  const samples = assignPictureSplits(source, options.splits, options.import, (path) => contents.get(path));
  const report = new ReportBuilder(source.labels);
  const splits: Record<string, number> = {};
  let sizeBytes = 0;
  let files = 0;
  const lines = async function* () {
    for (let at = 0; at < samples.length && !faults.isEnough; at += CHUNK) {
      const checked = await mapConcurrently(samples.slice(at, at + CHUNK), CONCURRENCY, signal, (sample) => writer.write(sample));
      let text = '';
      for (const one of checked) {
        if (one === undefined) continue;
        const { file, size } = one;
        report.addFile(file, size);
        splits[file.split] = (splits[file.split] ?? 0) + 1;
        sizeBytes += file.sizeBytes;
        files += 1;
        text += `${JSON.stringify(file)}\n`;
      }
      options.progress(Math.min(1, (at + CHUNK) / samples.length), `${Math.min(samples.length, at + CHUNK)} of ${samples.length} pictures`);
      yield text;
    }
  };
  await pipeline(lines, createWriteStream(join(dataDir, 'manifest.jsonl'), { flags: 'wx' }));
  faults.refuse();
  if (files === 0) throw new AppError('DATASET_FORMAT', { message: 'No picture of the data can be used.', hint: ACCEPTED_LAYOUTS });
  const info = { type: source.type, labels: [...source.labels], splits, files, sizeBytes };
  return writeIndex(dataDir, info, report.build(source, faults.summary()));
}

function checkLabels({ type, labels }: PictureSource): void {
  const needed = type === 'object-detection' ? 1 : 2;
  if (labels.length >= needed) return;
  throw new AppError('DATASET_FORMAT', {
    message:
      type === 'object-detection'
        ? 'There is no label: no picture has an object.'
        : `There is only one label (${labels[0] ?? 'none'}); a classifier needs two.`,
    hint: ACCEPTED_LAYOUTS,
  });
}

/** Digests of the pictures on disk, so that copies of one stay together when splits are made. */
async function digests(source: PictureSource, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  await mapConcurrently(source.samples, CONCURRENCY, signal, async ({ path, content }) => {
    if ('file' in content) found.set(path, await sha256File(content.file, signal));
  });
  return found;
}

class PictureWriter {
  readonly pool: ContentPool;
  readonly #folder: string;
  readonly #faults: Faults;
  readonly #indexOf: ReadonlyMap<string, number>;

  constructor(source: PictureSource, { dataDir, poolDir }: WriteOptions, faults: Faults) {
    this.pool = new ContentPool(poolDir);
    this.#folder = join(dataDir, 'files');
    this.#faults = faults;
    this.#indexOf = new Map(source.labels.map((label, index) => [label, index]));
  }

  /** Checks one picture and puts it to its place; undefined when it is broken, which is noted. */
  async write({ sample, split, group }: PlacedSample): Promise<Checked | undefined> {
    const { content } = sample;
    const isEncodedHere = 'encode' in content;
    if (!isEncodedHere && statSync(content.file).size > MAX_IMAGE_BYTES) return this.#broken(sample.path, 'is larger than 64 MiB');
    const onDisk = isEncodedHere ? undefined : readFileSync(content.file);
    const bytes = isEncodedHere ? await content.encode() : (onDisk ?? Buffer.alloc(0));
    const size = onDisk === undefined ? undefined : await sizeOf(onDisk);
    if (typeof size === 'string') return this.#broken(sample.path, size);
    const boxes = sample.boxes === undefined || size === undefined ? undefined : toBoxes(sample.boxes, size, this.#indexOf);
    if (typeof boxes === 'string') return this.#broken(sample.path, boxes);
    const file = datasetFileSchema.safeParse({
      path: sample.path,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sizeBytes: bytes.length,
      split,
      ...(boxes === undefined ? { label: this.#indexOf.get(sample.label ?? '') } : { boxes }),
      ...(group === undefined ? {} : { group }),
    });
    if (!file.success)
      return this.#broken(sample.path, file.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; '));
    this.pool.place(confinePath(this.#folder, sample.path), file.data.sha256, isEncodedHere ? { bytes } : content);
    return { file: file.data, size };
  }

  #broken(path: string, message: string): undefined {
    this.#faults.add({ path, message });
  }
}

/** Width and height of a picture that decodes as a whole; what is wrong with another. */
async function sizeOf(bytes: Buffer): Promise<{ width: number; height: number } | string> {
  const whole = sizeOfWholePng(bytes);
  if (whole !== undefined) return whole;
  try {
    const { width, height } = await decodeImage(bytes);
    return { width, height };
  } catch (error) {
    if (error instanceof AppError && error.code === 'IMAGE_UNREADABLE') return error.message;
    throw error;
  }
}
