import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileDigests, ObjectCache } from './object-cache.ts';
import { objectCacheBytes, objectCacheLimit, pruneObjects, usingObjects } from './object-space.ts';

const BLOCK = 4096;
const HOUR_MS = 3600_000;
const CHILD = fileURLToPath(new URL('../testing/use-objects-in-child.ts', import.meta.url));

let cacheDir = '';
const children: ChildProcess[] = [];
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'objects-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(cacheDir, { recursive: true, force: true });
});

const ago = (ms: number) => new Date(Date.now() - ms);

async function addFile(path: string, sizeBytes: number, usedAt: Date): Promise<void> {
  await mkdir(join(cacheDir, path, '..'), { recursive: true });
  await writeFile(join(cacheDir, path), new Uint8Array(sizeBytes));
  await utimes(join(cacheDir, path), usedAt, usedAt);
}

/** An object in the cache, as a compilation leaves it. */
async function addObject(cache: ObjectCache, key: string, usedAt: Date): Promise<string> {
  const variant = await cache.prepare(key, [], { roots: [], fixed: [] });
  await addFile(`${variant.object.slice(0, 2)}/${variant.object}.o`, BLOCK, usedAt);
  await cache.note(key, variant);
  await utimes(join(cacheDir, key.slice(0, 2), `${key}.json`), usedAt, usedAt);
  return cache.objectPath(variant.object);
}

function startChild(name: string, rounds: number, limitBytes: number): ChildProcess {
  const args = ['--import', import.meta.resolve('tsx'), CHILD, cacheDir, name, String(rounds), String(limitBytes)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

async function filesLeft(): Promise<string[]> {
  const all = await readdir(cacheDir, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

describe('the ceiling of the object cache', () => {
  it('is kept by deleting what was not used for the longest time', async () => {
    await addFile('aa/oldest.o', 10, ago(3 * HOUR_MS));
    await addFile('bb/old.o', BLOCK + 1, ago(2 * HOUR_MS));
    await addFile('aa/young.o', BLOCK, ago(HOUR_MS));
    expect(await objectCacheBytes(cacheDir)).toBe(4 * BLOCK);
    expect(await pruneObjects(cacheDir, 4 * BLOCK)).toBe(4 * BLOCK);
    expect(await pruneObjects(cacheDir, 3 * BLOCK)).toBe(3 * BLOCK);
    expect(await filesLeft()).toEqual(['old.o', 'young.o']);
    expect(await pruneObjects(cacheDir, 2 * BLOCK)).toBe(BLOCK);
    expect(await filesLeft()).toEqual(['young.o']);
  });

  it('spares what a build took lately, index and object', async () => {
    const cache = new ObjectCache(cacheDir, new FileDigests());
    const [first, second] = ['11'.repeat(32), '22'.repeat(32)];
    const taken = await addObject(cache, first, ago(3 * HOUR_MS));
    await addObject(cache, second, ago(2 * HOUR_MS));
    expect(await cache.find(first, [])).toBe(taken);
    await pruneObjects(cacheDir, 2 * BLOCK);
    expect(await cache.find(first, [])).toBe(taken);
    expect(await cache.find(second, [])).toBeUndefined();
  });

  it('is restored at the end of a build, also of one that fails', async () => {
    await addFile('aa/old.o', BLOCK, ago(HOUR_MS));
    const work = async () => {
      await addFile('bb/own.o', BLOCK, new Date());
      expect(await filesLeft()).toContain('old.o');
      throw new Error('does not link');
    };
    await expect(usingObjects(cacheDir, work, { limitBytes: BLOCK })).rejects.toThrow('does not link');
    expect(await filesLeft()).toEqual(['own.o']);
  });

  it('waits for the last of the builds that run', async () => {
    await addFile('aa/old.o', BLOCK, ago(HOUR_MS));
    await usingObjects(cacheDir, async () => {
      await usingObjects(cacheDir, async () => undefined, { limitBytes: 0 });
      expect(await pruneObjects(cacheDir, 0)).toBeUndefined();
      expect(await filesLeft()).toContain('old.o');
    });
    expect(await pruneObjects(cacheDir, 0)).toBe(0);
  });

  it('is not held up by a build that was killed', async () => {
    await addFile('aa/old.o', BLOCK, ago(HOUR_MS));
    const child = startChild('killed', 1, 0);
    await once(child.stdout ?? child, 'data');
    expect(await pruneObjects(cacheDir, 0)).toBeUndefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await pruneObjects(cacheDir, 0)).toBe(0);
    expect(await filesLeft()).toEqual([]);
  });

  it('never takes an object from one of several processes that build and prune at once', async () => {
    const all = ['a', 'b', 'c'].map((name) => startChild(name, 6, 3 * BLOCK));
    const ends = all.map(async (child) => {
      let complaint = '';
      child.stderr?.on('data', (chunk) => {
        complaint += String(chunk);
      });
      child.stdout?.resume();
      const [code] = await once(child, 'close');
      return { code, complaint };
    });
    expect(await Promise.all(ends)).toEqual(all.map(() => ({ code: 0, complaint: '' })));
    expect(await pruneObjects(cacheDir, 3 * BLOCK)).toBeLessThanOrEqual(3 * BLOCK);
  });

  it('clears away what a killed compiler left, not what one is writing', async () => {
    await addFile('unfinished-1-aa.o', 10, ago(2 * HOUR_MS));
    await addFile('unfinished-2-bb.o', 10, ago(HOUR_MS / 2));
    await pruneObjects(cacheDir, BLOCK);
    expect(await filesLeft()).toEqual(['unfinished-2-bb.o']);
  });

  it('is nothing to a cache that is not there', async () => {
    expect(await objectCacheBytes(join(cacheDir, 'none'))).toBe(0);
  });
});

describe('objectCacheLimit', () => {
  it('is 1 GiB, or what the environment says in MiB', () => {
    expect(objectCacheLimit({})).toBe(1024 ** 3);
    expect(objectCacheLimit({ SELVEDGE_OBJECT_CACHE_MIB: '' })).toBe(1024 ** 3);
    expect(objectCacheLimit({ SELVEDGE_OBJECT_CACHE_MIB: '0' })).toBe(0);
    expect(objectCacheLimit({ SELVEDGE_OBJECT_CACHE_MIB: '300' })).toBe(300 * 1024 ** 2);
  });

  it.each(['-1', '1.5', '1G', 'much'])('refuses %s', (text) => {
    expect(() => objectCacheLimit({ SELVEDGE_OBJECT_CACHE_MIB: text })).toThrow(/SELVEDGE_OBJECT_CACHE_MIB is not a whole number/);
  });
});
