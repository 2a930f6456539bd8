import { createInterface } from 'node:readline';
import { AppError, type DatasetFile, datasetFileSchema } from '@selvedge/contract';
import type { BlobStore } from '../ports/blob-store.ts';

/** The lines of a version's manifest, sorted by path. @throws AppError NOT_FOUND when the blob is gone, DATASET_FORMAT for a bad line. */
export async function* readManifest(blobs: BlobStore, digest: string): AsyncGenerator<DatasetFile> {
  const content = await blobs.open(digest);
  if (content === undefined) throw new AppError('NOT_FOUND', { message: `The manifest ${digest} is not there any more.` });
  let number = 0;
  try {
    for await (const line of createInterface({ input: content, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      yield parseLine(line, number);
    }
  } finally {
    content.destroy();
  }
}

function parseLine(line: string, number: number): DatasetFile {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new AppError('DATASET_FORMAT', { message: `Line ${number} of the manifest is not JSON.` }, { cause });
  }
  const parsed = datasetFileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('DATASET_FORMAT', { message: `Line ${number} of the manifest is not as agreed: ${parsed.error.issues[0]?.message}.` });
}
