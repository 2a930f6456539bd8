import { open } from 'node:fs/promises';
import { systemErrorCode } from '@selvedge/runtime';

const MAX_BYTES = 4096;

/** Text of the file, its first 4 KiB at most; undefined when there is none. */
export async function readLocationFile(path: string): Promise<string | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
