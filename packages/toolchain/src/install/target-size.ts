import { join } from 'node:path';
import { readJsonFile } from '@selvedge/runtime';
import { FILE_LIST, fileListSchema } from './lock-file.ts';

/** Bytes of all files that an installation put into a folder (a target's or a compiler's), as its list says. */
export async function installedBytes(folder: string): Promise<number> {
  const files = (await readJsonFile(join(folder, FILE_LIST), fileListSchema)) ?? {};
  return Object.values(files).reduce((sum, entry) => sum + ('link' in entry ? 0 : entry.sizeBytes), 0);
}
