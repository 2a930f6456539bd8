import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatasetInfo, type DatasetReport, datasetInfoSchema, type ImportOptions } from '@selvedge/contract';
import type { SplitChoice } from './assign-splits.ts';

export interface WriteOptions {
  /** The artifact's folder. */
  readonly dataDir: string;
  /** Where contents are kept once for all versions, on the same file system. */
  readonly poolDir: string;
  readonly splits: SplitChoice;
  readonly import: ImportOptions;
  readonly signal: AbortSignal;
  /** @param fraction - 0..1. */
  progress(fraction: number, message: string): void;
}

/** Writes dataset.json and report.json, the last files of a dataset. */
export async function writeIndex(dataDir: string, facts: Omit<DatasetInfo, 'formatVersion'>, report: DatasetReport): Promise<DatasetInfo> {
  const splits = Object.fromEntries(Object.entries(facts.splits).sort(([a], [b]) => (a < b ? -1 : 1)));
  const info = datasetInfoSchema.parse({ formatVersion: 1, ...facts, splits });
  await writeFile(join(dataDir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(join(dataDir, 'dataset.json'), `${JSON.stringify(info, null, 2)}\n`);
  return info;
}
