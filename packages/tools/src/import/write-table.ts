import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type DatasetFile, type DatasetInfo, datasetFileSchema } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import { createNpy, type NpyWriter } from '../npy/index.ts';
import { assignRowSplits } from './assign-splits.ts';
import { ReportBuilder } from './dataset-report.ts';
import { Faults } from './faults.ts';
import type { TableSource } from './source-sample.ts';
import { type WriteOptions, writeIndex } from './write-index.ts';

const PROGRESS_ROWS = 4096;

interface SplitFiles {
  readonly x: NpyWriter<'float32'>;
  readonly y: NpyWriter<'int64'>;
}

/**
 * Writes a table in the standard form: files/table.json, files/<split>.x.npy and .y.npy, manifest.jsonl, dataset.json,
 * report.json. Rows keep the order of the source within their split.
 *
 * @throws AppError DATASET_FORMAT (user) that lists the broken rows, unless they are to be skipped.
 */
export async function writeTable(source: TableSource, options: WriteOptions): Promise<DatasetInfo> {
  const faults = new Faults(source.faults, options.import.skipBroken === true);
  faults.refuse();
  const { labels, rowLabels } = source;
  if (labels.length < 2 || rowLabels.length === 0) {
    throw new AppError('DATASET_FORMAT', {
      message: `The table has ${rowLabels.length} usable rows and ${labels.length} label(s) in "${source.table.labelColumn}"; a classifier needs two.`,
      hint: 'Name the column with the class (--label-column NAME).',
    });
  }
  const folder = join(options.dataDir, 'files');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'table.json'), `${JSON.stringify(source.table, null, 2)}\n`);
  const rowSplits = assignRowSplits(source, options.splits);
  const report = new ReportBuilder(labels);
  const counts: Record<string, number> = {};
  for (const [row, split] of rowSplits.entries()) {
    counts[split] = (counts[split] ?? 0) + 1;
    report.addSample(rowLabels[row] ?? 0, split);
  }
  await writeRows(source, rowSplits, counts, folder, options);
  const files = await listOf(folder, Object.keys(counts));
  await writeFile(join(options.dataDir, 'manifest.jsonl'), files.map((file) => `${JSON.stringify(file)}\n`).join(''));
  for (const file of files) report.addFile(file);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const info = { type: 'tabular' as const, labels: [...labels], splits: counts, files: files.length, sizeBytes };
  return writeIndex(options.dataDir, info, report.build(source, faults.summary()));
}

async function writeRows(
  source: TableSource,
  rowSplits: readonly string[],
  counts: Readonly<Record<string, number>>,
  folder: string,
  { signal, progress }: WriteOptions,
): Promise<void> {
  const writers = new Map<string, SplitFiles>();
  try {
    for (const [split, count] of Object.entries(counts)) {
      const x = await createNpy(join(folder, `${split}.x.npy`), 'float32', [count, source.table.features.length]);
      writers.set(split, { x, y: await createNpy(join(folder, `${split}.y.npy`), 'int64', [count]) });
    }
    let row = 0;
    for await (const values of source.rows(signal)) {
      const files = writers.get(rowSplits[row] ?? '');
      await files?.x.write(values);
      await files?.y.write(BigInt64Array.of(BigInt(source.rowLabels[row] ?? 0)));
      row += 1;
      if (row % PROGRESS_ROWS === 0) progress(row / rowSplits.length, `${row} of ${rowSplits.length} rows`);
    }
  } catch (error) {
    for (const { x, y } of writers.values()) await Promise.allSettled([x.abandon(), y.abandon()]);
    throw error;
  }
  for (const { x, y } of writers.values()) {
    await x.close();
    await y.close();
  }
}

async function listOf(folder: string, splits: readonly string[]): Promise<DatasetFile[]> {
  const names = [
    { path: 'table.json', split: 'all' },
    ...splits.flatMap((split) => ['x', 'y'].map((side) => ({ path: `${split}.${side}.npy`, split }))),
  ];
  const files: DatasetFile[] = [];
  for (const { path, split } of names.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const { size } = await stat(join(folder, path));
    files.push(datasetFileSchema.parse({ path, sha256: await sha256File(join(folder, path)), sizeBytes: size, split }));
  }
  return files;
}
