import { extname, join, posix } from 'node:path';
import { AppError, type FileFault } from '@selvedge/contract';
import type { PictureSource, Source, SourceFolder, SourceSample } from '../source-sample.ts';
import { type CsvFile, csvRows, openCsv } from './csv-rows.ts';
import { labelColumnOf } from './label-column.ts';
import { PictureIndex } from './picture-index.ts';
import { readTable } from './read-table.ts';
import { sortLabels } from './sort-labels.ts';
import { dropSingleSplit, splitInName } from './split-names.ts';

const IMAGE_COLUMNS = ['image', 'picture', 'file', 'filename', 'file_name', 'filepath', 'path', 'image_path', 'image_id', 'img'];
/** Rows that are looked at to see whether a column names pictures. */
const PROBED_ROWS = 20;

function isCsv(path: string): boolean {
  return ['.csv', '.tsv'].includes(extname(path).toLowerCase());
}

/** True when a column names pictures that are there, or when there are no pictures at all and so the CSV is the data. */
export async function looksLikeCsv(folder: SourceFolder): Promise<boolean> {
  const files = folder.paths.filter(isCsv);
  if (files.length === 0) return false;
  const index = new PictureIndex(folder.paths);
  if (index.paths.length === 0) return true;
  for (const path of files) if ((await imageColumn(folder, await openCsv(folder.root, path), index)) !== undefined) return true;
  return false;
}

async function imageColumn({ root }: SourceFolder, file: CsvFile, index: PictureIndex): Promise<number | undefined> {
  const rows: (readonly string[])[] = [];
  for await (const { cells } of csvRows(root, file)) if (rows.push(cells) >= PROBED_ROWS) break;
  const hits = file.columns.map((_, at) => rows.filter((cells) => 'path' in findPicture(index, file, cells[at] ?? '')).length);
  const named = file.columns.findIndex((name, at) => IMAGE_COLUMNS.includes(name.toLowerCase()) && (hits[at] ?? 0) > 0);
  if (named >= 0) return named;
  const any = hits.findIndex((count) => count > 0 && count * 2 >= rows.length);
  return any < 0 ? undefined : any;
}

function findPicture(index: PictureIndex, file: CsvFile, name: string): { path: string } | { fault: string } {
  if (name === '') return { fault: 'names no picture' };
  const here = posix.dirname(file.path) === '.' ? '' : posix.dirname(file.path);
  const folders = [here, posix.join(here, 'images'), posix.join(here, splitInName(file.path) ?? '')];
  const found = index.find(name, folders);
  if ('path' in found || posix.extname(name) !== '') return found;
  for (const ending of ['.jpg', '.png', '.jpeg', '.webp']) {
    const longer = index.find(name + ending, folders);
    if ('path' in longer) return longer;
  }
  return found;
}

/**
 * Reads CSV (also with ";", tab or "|"): a column of pictures with their labels, or a table whose rows are the samples.
 * Optional columns are `split` and, with pictures, `group`; train.csv and test.csv say the split by their names.
 *
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readCsv(folder: SourceFolder): Promise<Source> {
  const files: CsvFile[] = [];
  for (const path of folder.paths.filter(isCsv)) files.push(await openCsv(folder.root, path));
  if (files.length === 0) throw new AppError('DATASET_FORMAT', { message: 'There is no CSV file in the data.' });
  const index = new PictureIndex(folder.paths);
  if (index.paths.length === 0) return readTable(folder, files);
  return readPictures(folder, files, index);
}

async function readPictures(folder: SourceFolder, files: readonly CsvFile[], index: PictureIndex): Promise<PictureSource> {
  const samples = new Map<string, SourceSample>();
  const faults: FileFault[] = [];
  const read: string[] = [];
  for (const file of files) {
    const image = await imageColumn(folder, file, index);
    if (image === undefined) continue;
    const label = labelColumnOf(file, folder.options.labelColumn) ?? file.columns.findIndex((_, at) => at !== image);
    const lower = file.columns.map((name) => name.toLowerCase());
    const columns = { image, label, split: lower.indexOf('split'), group: lower.indexOf('group') };
    read.push(`${file.path}: picture in "${file.columns[image]}", label in "${file.columns[label]}"`);
    for await (const { line, cells } of csvRows(folder.root, file)) {
      folder.signal.throwIfAborted();
      const at = `${file.path}: line ${line}`;
      const found = findPicture(index, file, cells[image] ?? '');
      const name = cells[label] ?? '';
      if ('fault' in found) faults.push({ path: at, message: found.fault });
      else if (name === '') faults.push({ path: at, message: 'has no label' });
      else if (samples.has(found.path)) faults.push({ path: at, message: `names ${found.path} a second time` });
      else samples.set(found.path, pictureSample(folder.root, found.path, name, { cells, columns, file }));
    }
  }
  if (read.length === 0) throw new AppError('DATASET_FORMAT', { message: 'No column of a CSV file names the pictures.' });
  const all = dropSingleSplit([...samples.values()]);
  const unnamed = index.paths.length - samples.size;
  return {
    kind: 'pictures',
    format: 'csv',
    type: 'image-classification',
    layout: `CSV (${read.join('; ')}): ${all.length} pictures`,
    labels: sortLabels(new Set(all.map((sample) => sample.label ?? ''))),
    samples: all,
    faults,
    notes: unnamed === 0 ? [] : [`${unnamed} picture(s) that no usable line names were left out`],
  };
}

interface PictureRow {
  readonly cells: readonly string[];
  readonly columns: { readonly split: number; readonly group: number };
  readonly file: CsvFile;
}

function pictureSample(root: string, path: string, label: string, { cells, columns, file }: PictureRow): SourceSample {
  const split = cells[columns.split]?.toLowerCase() || splitInName(file.path);
  const group = cells[columns.group] || undefined;
  return { path, label, split, ...(group === undefined ? {} : { group }), content: { file: join(root, path) } };
}
