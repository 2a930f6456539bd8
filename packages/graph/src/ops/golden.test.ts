import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { goldenFiles } from './golden-cases.ts';

const FOLDER = fileURLToPath(new URL('../../golden/', import.meta.url));
/** They are part of every clone and of the native test bundle. */
const MAX_TOTAL_BYTES = 300_000;

describe('golden tensors', () => {
  const files = goldenFiles();

  it('are what the reference computes now, bit for bit', async () => {
    for (const { name, bytes } of files) {
      const committed = await readFile(join(FOLDER, name));
      expect(committed.equals(bytes), `${name} differs from what the reference computes`).toBe(true);
    }
  });

  it('are all there are in the folder, and small', async () => {
    const committed = (await readdir(FOLDER)).filter((name) => name !== 'README.md').sort();
    expect(committed).toEqual(files.map((file) => file.name).sort());
    expect(files.reduce((sum, file) => sum + file.bytes.length, 0)).toBeLessThan(MAX_TOTAL_BYTES);
  });
});
