import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError, type DatasetFile, type DatasetInfo, datasetFileSchema, datasetInfoSchema } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { confinePath, sha256Hex } from '@selvedge/runtime';
import { chooseHoldOut } from '../sampling/hold-out.ts';
import { mapConcurrently } from '../sampling/map-concurrently.ts';
import { ACCEPTED_LAYOUTS, badFiles, type SourceDataset, type SourceSample } from './source-sample.ts';

/** Decoding runs on the thread pool; more than this at a time only costs memory. */
const CONCURRENCY = 4;
/** Stop reading a dataset that is broken throughout. */
const MAX_FAULTS = 1000;

export interface WriteDatasetOptions {
  readonly dataDir: string;
  readonly testShare: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): void;
}

/**
 * Writes a dataset in its standard form: files/, manifest.jsonl (sorted by path), dataset.json. Each picture is decoded
 * once, so that a broken one is found here and not in the middle of a training.
 *
 * @throws AppError DATASET_FORMAT (user) that lists the files which do not decode.
 */
export async function writeDataset(source: SourceDataset, options: WriteDatasetOptions): Promise<DatasetInfo> {
  const { dataDir, signal } = options;
  const { labels } = source;
  if (labels.length < 2) {
    throw new AppError('DATASET_FORMAT', {
      message: `There is only one label (${labels[0] ?? 'none'}); a classifier needs two.`,
      hint: ACCEPTED_LAYOUTS,
    });
  }
  const samples = assignSplits(source, options.testShare, options.seed);
  const indexOfLabel = new Map(labels.map((label, index) => [label, index]));
  const faults: { path: string; message: string }[] = [];
  const folders = new Set<string>();
  let done = 0;
  const entries = await mapConcurrently(samples, CONCURRENCY, signal, async ({ sample, split }): Promise<DatasetFile | undefined> => {
    if (faults.length >= MAX_FAULTS) return undefined;
    const bytes = await sample.load();
    const fault = source.trusted ? undefined : await faultOf(bytes);
    if (fault !== undefined) {
      faults.push({ path: sample.path, message: fault });
      return undefined;
    }
    const target = confinePath(join(dataDir, 'files'), sample.path);
    const folder = dirname(target);
    if (!folders.has(folder)) await mkdir(folder, { recursive: true });
    folders.add(folder);
    await writeFile(target, bytes, { flag: 'wx' });
    done += 1;
    if (done % 100 === 0) options.progress(done / samples.length, `${done} of ${samples.length} pictures`);
    return datasetFileSchema.parse({
      path: sample.path,
      sha256: sha256Hex(bytes),
      sizeBytes: bytes.length,
      split,
      label: indexOfLabel.get(sample.label),
    });
  });
  if (faults.length > 0) throw badFiles(faults.sort((a, b) => (a.path < b.path ? -1 : 1)));
  return writeIndex(
    dataDir,
    [...labels],
    entries.filter((entry) => entry !== undefined),
  );
}

function assignSplits(source: SourceDataset, testShare: number, seed: number): { sample: SourceSample; split: string }[] {
  const undecided = source.samples.filter((sample) => sample.split === undefined);
  const held = chooseHoldOut(
    undecided.map(({ path, label }) => ({ key: path, label })),
    testShare,
    seed,
  );
  return source.samples
    .map((sample) => ({ sample, split: sample.split ?? (held.has(sample.path) ? 'test' : 'train') }))
    .sort((a, b) => (a.sample.path < b.sample.path ? -1 : 1));
}

async function faultOf(bytes: Uint8Array): Promise<string | undefined> {
  try {
    await decodeImage(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.code === 'IMAGE_UNREADABLE') return error.message;
    throw error;
  }
}

async function writeIndex(dataDir: string, labels: string[], files: readonly DatasetFile[]): Promise<DatasetInfo> {
  const splits: Record<string, number> = {};
  for (const { split } of files) splits[split] = (splits[split] ?? 0) + 1;
  const lines = function* () {
    for (const file of files) yield `${JSON.stringify(file)}\n`;
  };
  await pipeline(lines, createWriteStream(join(dataDir, 'manifest.jsonl'), { flags: 'wx' }));
  const info = datasetInfoSchema.parse({
    formatVersion: 1,
    type: 'image-classification',
    labels,
    splits: Object.fromEntries(Object.entries(splits).sort(([a], [b]) => (a < b ? -1 : 1))),
    files: files.length,
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
  });
  await writeFile(join(dataDir, 'dataset.json'), `${JSON.stringify(info, null, 2)}\n`);
  return info;
}
