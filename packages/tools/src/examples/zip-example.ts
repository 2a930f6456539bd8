import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { zipFiles } from '../kit/http/zip-folder.ts';
import { listFilePaths } from '../kit/index.ts';

/** What `write` leaves in a folder, as the zip that is uploaded as one input of an example. */
export async function zipExample(file: string, write: (folder: string) => Promise<void>): Promise<{ file: string; base64: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-example-'));
  try {
    await write(folder);
    const bytes = await buffer(zipFiles(folder, await listFilePaths(folder)));
    return { file, base64: bytes.toString('base64') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
