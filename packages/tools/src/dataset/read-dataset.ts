import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError, type DatasetFile, type DatasetInfo, datasetFileSchema, datasetInfoSchema, issuesOf } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';

export interface ReadDataset {
  readonly info: DatasetInfo;
  /** In the order of the manifest: by path. */
  readonly files: readonly DatasetFile[];
}

/** Reads dataset.json and the manifest. @throws AppError DATASET_FORMAT (user) */
export async function readDataset(folder: string): Promise<ReadDataset> {
  const info = await readJsonFile(join(folder, 'dataset.json'), datasetInfoSchema);
  if (info === undefined) throw new AppError('DATASET_FORMAT', { message: 'The input has no dataset.json: it is not a dataset.' });
  const files: DatasetFile[] = [];
  for await (const line of createInterface({
    input: createReadStream(join(folder, 'manifest.jsonl')),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    files.push(parseLine(line, files.length + 1, info));
  }
  return { info, files };
}

function parseLine(line: string, number: number, info: DatasetInfo): DatasetFile {
  try {
    const parsed = datasetFileSchema.safeParse(JSON.parse(line));
    const fault = parsed.success ? faultOf(parsed.data, info) : undefined;
    if (parsed.success && fault === undefined) return parsed.data;
    const why = parsed.success ? fault : issuesOf(parsed.error)[0]?.message;
    throw new AppError('DATASET_FORMAT', { message: `manifest.jsonl, line ${number}: ${why}.` });
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('DATASET_FORMAT', { message: `manifest.jsonl, line ${number} is not JSON.` }, { cause });
  }
}

/** Each type of dataset says something else about a file. */
function faultOf({ label, boxes }: DatasetFile, { type, labels }: DatasetInfo): string | undefined {
  if ((label !== undefined) !== (type === 'image-classification'))
    return `a line of ${type} ${label === undefined ? 'needs a' : 'has no'} label`;
  if ((boxes !== undefined) !== (type === 'object-detection')) return `a line of ${type} ${boxes === undefined ? 'needs' : 'has no'} boxes`;
  const wrong = [label ?? 0, ...(boxes ?? []).map((box) => box.label)].find((index) => index >= labels.length);
  return wrong === undefined || type === 'tabular' ? undefined : `label ${wrong} of ${labels.length}`;
}

/**
 * The files that a `dataset.path` of a pipeline means: the split of that name, or else everything below that folder of
 * the dataset. "./train/" and "train" are the same.
 *
 * @throws AppError INPUT_INVALID (user) when it means nothing; the message lists what there is.
 */
export function selectFiles({ info, files }: ReadDataset, path: string, use: 'train' | 'test'): readonly DatasetFile[] {
  const wanted = path.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
  const everything = wanted === '' || wanted === '.';
  const bySplit = files.filter((file) => file.split === wanted);
  const selected = bySplit.length > 0 ? bySplit : files.filter((file) => everything || file.path.startsWith(`${wanted}/`));
  if (selected.length > 0) return selected;
  const folders = [...new Set(files.map((file) => file.path.split('/')[0] ?? ''))].slice(0, 20);
  throw new AppError('INPUT_INVALID', {
    message: `dataset.path.${use} ${JSON.stringify(path)} selects no picture.`,
    hint: `Splits of the dataset: ${Object.keys(info.splits).join(', ')}. Folders: ${folders.join(', ')}.`,
  });
}
