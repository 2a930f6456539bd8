import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode, writeFileAtomic } from '@selvedge/runtime';
import { markUsed } from './mark-used.ts';

const DIGEST_BYTES = 32;

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

/** @returns undefined when there is no such file, or one that is damaged. */
async function readChecked(path: string): Promise<Buffer | undefined> {
  if (!(await markUsed(path))) return undefined;
  const content = await readFile(path).catch((error: unknown) => {
    // Deleted since then: the cache gives way at any time.
    if (systemErrorCode(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
  const bytes = content.subarray(DIGEST_BYTES);
  return content.length >= DIGEST_BYTES && digestOf(bytes).equals(content.subarray(0, DIGEST_BYTES)) ? bytes : undefined;
}

/**
 * What `make` gives, taken from the cache of compiled objects when it was made before. It counts against the ceiling of
 * that cache like an object. A damaged file is made anew.
 *
 * @param key - hex digest of all that decides what is made.
 * @throws what `make` throws; a system error when the cache cannot be written.
 */
export async function cachedBytes(cacheDir: string, key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const path = join(cacheDir, key.slice(0, 2), `${key}.bytes`);
  const known = await readChecked(path);
  if (known !== undefined) return known;
  const bytes = await make();
  await writeFileAtomic(path, Buffer.concat([digestOf(bytes), bytes]));
  return bytes;
}
