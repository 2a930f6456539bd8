import { join } from 'node:path';
import { AppError, type Box, type DatasetFile, tableSchema } from '@selvedge/contract';
import { confinePath, readJsonFile, sha256File } from '@selvedge/runtime';
import { type ReadDataset, readDataset } from '../../dataset/read-dataset.ts';
import { openNpy } from '../../npy/index.ts';
import type { PictureSource, Source, SourceBox, SourceFolder, SourceSample, TableSource } from '../source-sample.ts';

/** Rows of a table that are read at once, in values. */
const CHUNK_VALUES = 256 * 1024;

export function isStandard(paths: readonly string[]): boolean {
  return paths.includes('dataset.json') && paths.includes('manifest.jsonl');
}

/**
 * Reads a dataset in the standard form: what another import made, or `selvedge dataset export` wrote. Splits are kept.
 *
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readStandard({ root }: SourceFolder): Promise<Source> {
  const dataset = await readDataset(root);
  return dataset.info.type === 'tabular' ? readStandardTable(root, dataset) : readStandardPictures(root, dataset);
}

function readStandardPictures(root: string, { info, files }: ReadDataset): PictureSource {
  const { labels, type } = info;
  const samples = files.map((file): SourceSample => {
    const content = { file: confinePath(join(root, 'files'), file.path) };
    const common = { path: file.path, split: file.split, content, ...(file.group === undefined ? {} : { group: file.group }) };
    if (file.boxes !== undefined) return { ...common, boxes: file.boxes.map((box) => sourceBox(box, labels)) };
    return { ...common, label: labels[file.label ?? 0] ?? '' };
  });
  return {
    kind: 'pictures',
    format: 'standard',
    type: type === 'object-detection' ? type : 'image-classification',
    layout: `a dataset in the standard form: ${samples.length} pictures`,
    labels,
    samples,
    faults: [],
    notes: [],
  };
}

function sourceBox({ label, ...box }: Box, labels: readonly string[]): SourceBox {
  return { label: labels[label] ?? '', unit: 'pixel', ...box };
}

async function readStandardTable(root: string, { info, files }: ReadDataset): Promise<TableSource> {
  const folder = join(root, 'files');
  for (const file of files) await checkFile(folder, file);
  const table = await readJsonFile(join(folder, 'table.json'), tableSchema);
  if (table === undefined) throw new AppError('DATASET_FORMAT', { message: 'The dataset is a table and has no files/table.json.' });
  const parts: { split: string; end: number }[] = [];
  const labels: Int32Array[] = [];
  let end = 0;
  for (const split of Object.keys(info.splits)) {
    const y = await openNpy(join(folder, `${split}.y.npy`), 'int64');
    labels.push(Int32Array.from(await y.readAll().finally(() => y.close()), Number));
    end += y.count;
    parts.push({ split, end });
  }
  const rowLabels = new Int32Array(end);
  let at = 0;
  for (const one of labels) {
    rowLabels.set(one, at);
    at += one.length;
  }
  const wrong = rowLabels.find((label) => label < 0 || label >= info.labels.length);
  if (wrong !== undefined) throw new AppError('DATASET_FORMAT', { message: `A row has the class ${wrong} of ${info.labels.length}.` });
  return {
    kind: 'table',
    format: 'standard',
    layout: `a table in the standard form: ${end} rows, ${table.features.length} features`,
    labels: info.labels,
    table,
    rowLabels,
    splitOf: (row) => parts.find((part) => row < part.end)?.split,
    async *rows(signal) {
      for (const { split } of parts) yield* rowsOf(join(folder, `${split}.x.npy`), table.features.length, signal);
    },
    faults: [],
    notes: [],
  };
}

async function checkFile(folder: string, file: DatasetFile): Promise<void> {
  if ((await sha256File(confinePath(folder, file.path))) !== file.sha256)
    throw new AppError('DATASET_FORMAT', { message: `files/${file.path} is not what manifest.jsonl says.` });
}

async function* rowsOf(path: string, features: number, signal: AbortSignal): AsyncGenerator<Float32Array> {
  const x = await openNpy(path, 'float32');
  try {
    if (x.rowLength !== features)
      throw new AppError('DATASET_FORMAT', { message: `${path} has ${x.rowLength} features, the table ${features}.` });
    const rowsAtOnce = Math.max(1, Math.floor(CHUNK_VALUES / features));
    for (let first = 0; first < x.count; first += rowsAtOnce) {
      signal.throwIfAborted();
      const count = Math.min(rowsAtOnce, x.count - first);
      const values = await x.readRows(first, count);
      for (let row = 0; row < count; row += 1) yield values.slice(row * features, (row + 1) * features);
    }
  } finally {
    await x.close();
  }
}
