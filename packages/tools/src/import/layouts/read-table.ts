import { AppError, type DatasetTable, type FileFault, MAX_NAMED_FILES } from '@selvedge/contract';
import type { SourceFolder, TableSource } from '../source-sample.ts';
import { type CsvFile, csvRows, isNumber } from './csv-rows.ts';
import { labelColumnOf } from './label-column.ts';
import { sortLabels } from './sort-labels.ts';
import { splitInName } from './split-names.ts';

/** A column is one of numbers when no more than this share of its cells is something else: those are then broken rows. */
const MAX_ODD_SHARE = 0.05;
const MAX_CATEGORIES = 100;
const MAX_CLASSES = 1000;

interface Column {
  readonly name: string;
  readonly at: number;
  numbers: number;
  texts: number;
  /** Distinct values; undefined once there are too many. */
  values: Set<string> | undefined;
}

interface ParsedRow {
  readonly values: Float32Array;
  readonly label: string;
  readonly split: string | undefined;
}

/**
 * Reads CSV files with the same columns as one table. Memory grows by five bytes per row, not with the columns: the
 * files are read three times, for the types of the columns, for classes and splits, and for the values.
 *
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readTable(folder: SourceFolder, files: readonly CsvFile[]): Promise<TableSource> {
  const [first] = files;
  if (first === undefined) throw new AppError('DATASET_FORMAT', { message: 'There is no CSV file in the data.' });
  for (const file of files) {
    if (file.columns.join('\n') !== first.columns.join('\n'))
      throw new AppError('DATASET_FORMAT', { message: `${file.path} has other columns than ${first.path}.` });
  }
  const labelAt = labelColumnOf(first, folder.options.labelColumn) ?? first.columns.length - 1;
  const splitAt = first.columns.findIndex((name) => name.toLowerCase() === 'split');
  const ignored = new Set(folder.options.ignoreColumns);
  const unknown = [...ignored].find((name) => !first.columns.includes(name));
  if (unknown !== undefined)
    throw new AppError('DATASET_FORMAT', { message: `${first.path} has no column ${JSON.stringify(unknown)} to ignore.` });
  const columns = first.columns
    .map((name, at): Column => ({ name, at, numbers: 0, texts: 0, values: new Set() }))
    .filter(({ name, at }) => at !== labelAt && at !== splitAt && !ignored.has(name));
  await observe(folder, files, columns);
  const table = describe(first, labelAt, columns);
  const parse = rowParser(first, table, { columns, labelAt, splitAt });
  return gather(folder, files, table, parse);
}

async function observe({ root, signal }: SourceFolder, files: readonly CsvFile[], columns: readonly Column[]): Promise<void> {
  for (const file of files) {
    for await (const { cells } of csvRows(root, file)) {
      signal.throwIfAborted();
      for (const column of columns) {
        const cell = cells[column.at] ?? '';
        if (cell === '') continue;
        if (isNumber(cell)) column.numbers += 1;
        else column.texts += 1;
        if (column.values !== undefined && column.values.add(cell).size > MAX_CATEGORIES) column.values = undefined;
      }
    }
  }
}

function isNumeric({ numbers, texts }: Column): boolean {
  return texts <= (numbers + texts) * MAX_ODD_SHARE;
}

function describe(file: CsvFile, labelAt: number, columns: readonly Column[]): DatasetTable {
  if (columns.length === 0) throw new AppError('DATASET_FORMAT', { message: `${file.path} has no column beside the label.` });
  const described = columns.map((column): DatasetTable['columns'][number] => {
    if (isNumeric(column)) return { name: column.name, type: 'number' };
    if (column.values !== undefined) return { name: column.name, type: 'category', values: sortLabels(column.values) };
    throw new AppError('DATASET_FORMAT', {
      message: `Column ${JSON.stringify(column.name)} of ${file.path} is text with more than ${MAX_CATEGORIES} values.`,
      hint: `A column of names or numbers of rows is no feature: leave it out (--ignore-column ${column.name}).`,
    });
  });
  const features = described.flatMap((column) =>
    column.type === 'number' ? [column.name] : column.values.map((value) => `${column.name}=${value}`),
  );
  return { formatVersion: 1, labelColumn: file.columns[labelAt] ?? '', columns: described, features };
}

type RowParser = (cells: readonly string[], fileSplit: string | undefined) => ParsedRow | string;

function rowParser(file: CsvFile, table: DatasetTable, where: { columns: readonly Column[]; labelAt: number; splitAt: number }): RowParser {
  const lookups = table.columns.map((column) =>
    column.type === 'category' ? new Map(column.values.map((value, at) => [value, at])) : undefined,
  );
  return (cells, fileSplit) => {
    if (cells.length !== file.columns.length) return `has ${cells.length} cells, expected ${file.columns.length}`;
    const label = cells[where.labelAt] ?? '';
    if (label === '') return `has no value in "${table.labelColumn}"`;
    const values = new Float32Array(table.features.length);
    let at = 0;
    for (const [i, column] of where.columns.entries()) {
      const cell = cells[column.at] ?? '';
      const lookup = lookups[i];
      if (lookup === undefined) {
        if (!isNumber(cell)) return `has ${JSON.stringify(cell.slice(0, 50))} in "${column.name}", expected a number`;
        values[at] = Number(cell);
        at += 1;
      } else {
        const value = lookup.get(cell);
        if (value === undefined) return `has no value in "${column.name}"`;
        values[at + value] = 1;
        at += lookup.size;
      }
    }
    return { values, label, split: cells[where.splitAt]?.toLowerCase() || fileSplit };
  };
}

async function gather(folder: SourceFolder, files: readonly CsvFile[], table: DatasetTable, parse: RowParser): Promise<TableSource> {
  const faults: FileFault[] = [];
  const names: string[] = [];
  const indexOf = new Map<string, number>();
  const splits: (string | undefined)[] = [];
  const labels: number[] = [];
  const rowSplits: number[] = [];
  for (const file of files) {
    const fileSplit = files.length > 1 ? splitInName(file.path) : undefined;
    for await (const { line, cells } of csvRows(folder.root, file)) {
      folder.signal.throwIfAborted();
      const row = parse(cells, fileSplit);
      if (typeof row === 'string') {
        faults.push({ path: `${file.path}: line ${line}`, message: row });
        if (faults.length > MAX_NAMED_FILES && folder.options.skipBroken !== true) break;
        continue;
      }
      if (!indexOf.has(row.label)) indexOf.set(row.label, names.push(row.label) - 1);
      if (names.length > MAX_CLASSES) throw tooManyClasses(file, table);
      if (!splits.includes(row.split)) splits.push(row.split);
      labels.push(indexOf.get(row.label) ?? 0);
      rowSplits.push(splits.indexOf(row.split));
    }
  }
  const sorted = sortLabels(names);
  const place = names.map((name) => sorted.indexOf(name));
  return {
    kind: 'table',
    format: 'csv',
    layout: `CSV table (${files.map(({ path }) => path).join(', ')}): ${labels.length} rows, ${table.features.length} features, label in "${table.labelColumn}"`,
    labels: sorted,
    table,
    rowLabels: Int32Array.from(labels, (label) => place[label] ?? 0),
    splitOf: (row) => (splits.length > 1 ? splits[rowSplits[row] ?? 0] : undefined),
    async *rows(signal) {
      for (const file of files) {
        for await (const { cells } of csvRows(folder.root, file)) {
          signal.throwIfAborted();
          const row = parse(cells, undefined);
          if (typeof row !== 'string') yield row.values;
        }
      }
    },
    faults,
    notes: [],
  };
}

function tooManyClasses(file: CsvFile, { labelColumn }: DatasetTable): AppError {
  return new AppError('DATASET_FORMAT', {
    message: `Column ${JSON.stringify(labelColumn)} of ${file.path} has more than ${MAX_CLASSES} values: it is no class.`,
    hint: 'Name the column with the class (--label-column NAME).',
  });
}
