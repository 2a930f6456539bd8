import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomStream } from '../drawing/random.ts';
import { makeDigits } from './make-dataset.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'digits-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

async function digests(root: string): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const file of await filesBelow(root)) {
    const bytes = await readFile(join(root, file));
    all.set(file, createHash('sha256').update(bytes).digest('hex'));
  }
  return all;
}

function codeOf(error: unknown): string {
  return error instanceof AppError ? error.code : String(error);
}

describe('makeDigits', () => {
  it('writes as many pictures as asked for, as many of each digit, JPEG and PNG', async () => {
    const outDir = join(folder, 'counts');
    expect(await makeDigits({ outDir, train: 100, test: 40 })).toEqual({ outDir, train: 100, test: 40 });
    const files = await filesBelow(outDir);
    for (let digit = 0; digit < 10; digit++) {
      expect(files.filter((file) => file.startsWith(`train/${digit}/`))).toHaveLength(10);
      expect(files.filter((file) => file.startsWith(`test/${digit}/`))).toHaveLength(4);
    }
    expect(files).toHaveLength(140);
    expect(files.some((file) => file.endsWith('.jpg')) && files.some((file) => file.endsWith('.png'))).toBe(true);
  });

  it('writes RGB pictures of 32 to 48 pixels in the format that their name says', async () => {
    const outDir = join(folder, 'formats');
    await makeDigits({ outDir, train: 30, test: 10 });
    for (const file of await filesBelow(outDir)) {
      const path = join(outDir, file);
      const { format } = await sharp(path).metadata();
      expect(format).toBe(file.endsWith('.png') ? 'png' : 'jpeg');
      const { info, data } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
      expect(info.channels).toBe(3);
      for (const edge of [info.width, info.height]) {
        expect(edge).toBeGreaterThanOrEqual(32);
        expect(edge).toBeLessThanOrEqual(48);
      }
      expect(Math.max(...data) - Math.min(...data)).toBeGreaterThan(40);
    }
  });

  it('gives the same bytes for the same seed, others for another, and no picture twice', async () => {
    const make = async (name: string, seed: number): Promise<Map<string, string>> => {
      await makeDigits({ outDir: join(folder, name), train: 40, test: 40, seed });
      return digests(join(folder, name));
    };
    const first = await make('seed-5', 5);
    expect(await make('seed-5-again', 5)).toEqual(first);
    const other = new Set((await make('seed-6', 6)).values());
    expect(new Set(first.values()).size).toBe(80);
    expect([...first.values()].filter((digest) => other.has(digest))).toEqual([]);
  });

  it('reports progress up to the total', async () => {
    const seen: [number, number][] = [];
    await makeDigits({ outDir: join(folder, 'progress'), train: 10, test: 5, onProgress: (done, total) => seen.push([done, total]) });
    expect(seen).toEqual(Array.from({ length: 15 }, (_, i) => [i + 1, 15]));
  });

  it('refuses a folder that is not empty and leaves it as it is', async () => {
    const outDir = await mkdtemp(join(folder, 'full-'));
    await writeFile(join(outDir, 'mine.txt'), 'keep');
    expect(codeOf(await makeDigits({ outDir, train: 10, test: 10 }).catch((error: unknown) => error))).toBe('CONFLICT');
    expect(await readdir(outDir)).toEqual(['mine.txt']);
  });

  it('leaves no folder that looks complete when it is interrupted, and can begin anew', async () => {
    const outDir = join(folder, 'interrupted');
    const controller = new AbortController();
    const interrupted = makeDigits({
      outDir,
      train: 60,
      test: 10,
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 20) controller.abort(new AppError('INTERRUPTED', { message: 'Interrupted' }));
      },
    });
    expect(codeOf(await interrupted.catch((error: unknown) => error))).toBe('INTERRUPTED');
    await expect(readdir(outDir)).rejects.toThrow('ENOENT');
    await makeDigits({ outDir, train: 20, test: 10 });
    expect(await filesBelow(outDir)).toHaveLength(30);
  });

  it('refuses counts that are not whole numbers', async () => {
    expect(codeOf(await makeDigits({ outDir: join(folder, 'bad'), train: Number.NaN }).catch((error: unknown) => error))).toBe(
      'INPUT_INVALID',
    );
  });
});

describe('randomStream', () => {
  it('is uniform and normal enough, and different for each key', () => {
    const random = randomStream(1, 2, 3);
    const units = Array.from({ length: 20_000 }, () => random.unit());
    const normals = Array.from({ length: 20_000 }, () => random.normal());
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(units)).toBeCloseTo(0.5, 2);
    expect(mean(normals)).toBeCloseTo(0, 1);
    expect(mean(normals.map((value) => value * value))).toBeCloseTo(1, 1);
    const firsts = Array.from({ length: 1000 }, (_, i) => randomStream(1, 2, i).unit());
    expect(new Set(firsts).size).toBe(1000);
    expect(mean(firsts)).toBeCloseTo(0.5, 1);
  });
});
