import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cachedBytes } from './cached-bytes.ts';
import { objectCacheBytes, pruneObjects } from './object-space.ts';

const KEY = 'ab'.repeat(32);

let cacheDir = '';
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'cached-bytes-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

/** Takes the bytes of KEY, and says whether they had to be made. */
async function take(): Promise<{ text: string; made: boolean }> {
  let made = false;
  const bytes = await cachedBytes(cacheDir, KEY, async () => {
    made = true;
    return Buffer.from('content');
  });
  return { text: Buffer.from(bytes).toString(), made };
}

it('makes bytes once', async () => {
  expect(await take()).toEqual({ text: 'content', made: true });
  expect(await take()).toEqual({ text: 'content', made: false });
});

it('makes damaged ones anew', async () => {
  await take();
  const path = join(cacheDir, 'ab', `${KEY}.bytes`);
  const content = await readFile(path);
  content.writeUInt8(content.readUInt8(32) ^ 1, 32);
  await writeFile(path, content);
  expect(await take()).toEqual({ text: 'content', made: true });
  await writeFile(path, content.subarray(0, 7));
  expect(await take()).toEqual({ text: 'content', made: true });
  expect(await take()).toEqual({ text: 'content', made: false });
});

it('counts and prunes them like objects', async () => {
  await take();
  expect(await objectCacheBytes(cacheDir)).toBe(4096);
  await pruneObjects(cacheDir, 0);
  expect(await readdir(join(cacheDir, 'ab'))).toEqual([]);
  expect(await take()).toEqual({ text: 'content', made: true });
});
