import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { parse } from 'csv-parse';
import * as z from 'zod';

const DELIMITERS = [',', ';', '\t', '|'];
/** One line; a table of 100,000 columns has about a megabyte. */
const MAX_RECORD_BYTES = 8 * 1024 ** 2;
const HEAD_BYTES = 64 * 1024;
const recordSchema = z.object({ record: z.array(z.string()), info: z.object({ lines: z.int() }) });
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

export interface CsvFile {
  readonly path: string;
  readonly delimiter: string;
  /** Names of the columns; c1, c2, ... where the first line holds numbers and so is data. */
  readonly columns: readonly string[];
  readonly hasHeader: boolean;
}

export interface CsvRow {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Strict: no "0x10", no empty text, no "Infinity". */
export function isNumber(text: string): boolean {
  return NUMBER.test(text) && Number.isFinite(Number(text));
}

/** Reads the first line: which delimiter it has, and whether it names the columns. @throws AppError DATASET_FORMAT (user) */
export async function openCsv(root: string, path: string): Promise<CsvFile> {
  const file = await open(join(root, path), 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0).finally(() => file.close());
  const head = buffer.toString('utf8', 0, bytesRead).split(/\r?\n/, 1)[0] ?? '';
  const counts = DELIMITERS.map((delimiter) => ({ delimiter, count: head.split(delimiter).length }));
  const { delimiter } = counts.reduce((best, one) => (one.count > best.count ? one : best));
  for await (const { cells } of records(root, path, delimiter)) {
    const hasHeader = !cells.some(isNumber);
    const columns = hasHeader ? [...cells] : cells.map((_, i) => `c${i + 1}`);
    const twice = columns.find((name, i) => columns.indexOf(name) !== i);
    if (twice !== undefined) throw new AppError('DATASET_FORMAT', { message: `${path} has two columns ${JSON.stringify(twice)}.` });
    return { path, delimiter, columns, hasHeader };
  }
  throw new AppError('DATASET_FORMAT', { message: `${path} is empty.` });
}

/** The rows below the header, with cells trimmed. @throws AppError DATASET_FORMAT (user) for what is not CSV. */
export async function* csvRows(root: string, file: CsvFile): AsyncGenerator<CsvRow> {
  let first = file.hasHeader;
  for await (const row of records(root, file.path, file.delimiter)) {
    if (!first) yield row;
    first = false;
  }
}

async function* records(root: string, path: string, delimiter: string): AsyncGenerator<CsvRow> {
  const source = createReadStream(join(root, path), { highWaterMark: 256 * 1024 });
  const parser = source.pipe(
    parse({
      delimiter,
      bom: true,
      trim: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: MAX_RECORD_BYTES,
    }),
  );
  source.on('error', (error) => parser.destroy(error));
  try {
    for await (const value of parser) {
      const { record, info } = recordSchema.parse(value);
      yield { line: info.lines, cells: record };
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError(
      'DATASET_FORMAT',
      { message: `${path} cannot be read: ${cause instanceof Error ? cause.message : cause}.` },
      { cause },
    );
  } finally {
    source.destroy();
  }
}
