import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';

/** Reads a text file of a bounded size. @throws AppError DATASET_FORMAT (user) when it is larger. */
export async function readSmallText(root: string, path: string, maxBytes: number): Promise<string> {
  const { size } = await stat(join(root, path));
  if (size > maxBytes) throw new AppError('DATASET_FORMAT', { message: `${path} has ${size} bytes; ${maxBytes} are read at most.` });
  return (await readFile(join(root, path), 'utf8')).replace(/^\uFEFF/, '');
}
