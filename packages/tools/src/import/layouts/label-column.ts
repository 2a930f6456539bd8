import { AppError } from '@selvedge/contract';
import type { CsvFile } from './csv-rows.ts';

const LABEL_COLUMNS = ['label', 'class', 'target', 'category', 'species', 'class_name', 'label_name'];

/** The column to read the class from. @throws AppError DATASET_FORMAT (user) when the wanted one is not there. */
export function labelColumnOf(file: CsvFile, wanted: string | undefined): number | undefined {
  const names = file.columns.map((name) => name.toLowerCase());
  if (wanted !== undefined) {
    const at = file.columns.indexOf(wanted);
    if (at >= 0) return at;
    throw new AppError('DATASET_FORMAT', {
      message: `${file.path} has no column ${JSON.stringify(wanted)}; it has ${file.columns.slice(0, 30).join(', ')}.`,
    });
  }
  for (const name of LABEL_COLUMNS) if (names.includes(name)) return names.indexOf(name);
  return undefined;
}
