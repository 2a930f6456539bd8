import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../digest.ts';
import { applyDelta } from './apply-delta.ts';
import { decodeVcdiff } from './decode-vcdiff.ts';
import { encodeVcdiff } from './encode-vcdiff.ts';
import { makeDelta } from './make-delta.ts';

const readFrom = (base: Uint8Array) => (at: number, into: Uint8Array) => {
  const found = base.subarray(at, at + into.length);
  into.set(found);
  return found.length;
};
async function collect(windows: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const window of windows) copies.push(Buffer.from(window));
  return Buffer.concat(copies);
}
const decode = (base: Uint8Array, difference: Uint8Array) => collect(decodeVcdiff(Readable.from([difference]), readFrom(base)));
const encode = (base: Uint8Array, windows: Uint8Array[]) =>
  buffer(Readable.from(encodeVcdiff(base, Readable.from(windows)), { objectMode: false }));

/** What xdelta3 3.0.11 makes (`-e -n -A -S none -9`) of the two below: runs, pairs of instructions, copies from the target itself. */
const OF_XDELTA3 = '1sPEAAABhwQAM4hjABISCVJVTnpuZXcgdGV4dCBoZXJlIbcAgUgTgiwOQxQTWlODECNaAgNkgUgAgUiDag==';
let seed = 4;
const BASE = Buffer.from(
  Array.from({ length: 900 }, () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return 97 + ((seed >> 16) % 9);
  }),
);
const TARGET = Buffer.concat([
  Buffer.from(`RUNRUNRUN${'z'.repeat(200)}`),
  BASE.subarray(100, 400),
  Buffer.from('new text here'),
  BASE.subarray(300, 320),
  BASE.subarray(0, 90),
  BASE.subarray(500),
  BASE.subarray(0, 90),
  Buffer.from('!'),
]);

describe('VCDIFF', () => {
  it('reads what another program writes', async () => {
    expect(await decode(BASE, Buffer.from(OF_XDELTA3, 'base64'))).toEqual(TARGET);
  });

  it('gives back every target, whatever was moved, changed, put in and taken out', async () => {
    const edit = fc.record({ from: fc.nat(4000), length: fc.nat(600), fresh: fc.uint8Array({ maxLength: 40 }) });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 4000 }), fc.array(edit, { maxLength: 12 }), async (base, edits) => {
        const windows = edits.map(({ from, length, fresh }) => Buffer.concat([base.subarray(from, from + length), fresh]));
        expect(await decode(base, await encode(base, windows))).toEqual(Buffer.concat(windows));
      }),
    );
  });

  it('says little where little differs, also where every piece has moved', async () => {
    const base = randomBytes(400_000);
    const changed = Buffer.from(base);
    for (let at = 1000; at < changed.length; at += 20_000) changed[at] = (changed[at] ?? 0) ^ 1;
    expect((await encode(base, [changed])).length).toBeLessThan(300);
    const moved = Buffer.concat([base.subarray(200_000), Buffer.from('put in'), base.subarray(0, 200_000)]);
    expect((await encode(base, [moved.subarray(0, 150_000), moved.subarray(150_000)])).length).toBeLessThan(100);
  });

  it('ends with an error of its own on every damage that it notices, and never reads beyond the base', async () => {
    const difference = await encode(BASE, [TARGET]);
    for (let at = 0; at < difference.length; at += 1) {
      const damaged = Buffer.from(difference);
      damaged[at] = (damaged[at] ?? 0) ^ 0x55;
      const result = await decode(BASE, damaged).catch((error: unknown) => error);
      if (!Buffer.isBuffer(result)) expect(result, `byte ${at}`).toMatchObject({ code: 'DIGEST_MISMATCH' });
    }
    await expect(decode(BASE, difference.subarray(0, -1))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(decode(BASE.subarray(0, 500), difference)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('patches', () => {
  let folder: string;
  let path: (name: string) => string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'delta-'));
    path = (name) => join(folder, name);
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function make(base: Buffer, target: Buffer, maxBytes = target.length) {
    await writeFile(path('base'), base);
    await writeFile(path('target'), target);
    return makeDelta({ base: path('base'), target: path('target'), patch: path('patch'), maxBytes });
  }
  const apply = (target: Buffer) =>
    applyDelta({
      base: path('base'),
      patch: path('patch'),
      destination: path('result'),
      sha256: sha256Hex(target),
      sizeBytes: target.length,
    });

  it('make the new file of the old one, over several windows', async () => {
    const base = randomBytes(3_000_000);
    const target = Buffer.concat([base.subarray(0, 1_300_000), randomBytes(5000), base.subarray(1_200_000), Buffer.from('end')]);
    const size = await make(base, target);
    expect(size).toBeLessThan(6000);
    await apply(target);
    expect((await readFile(path('result'))).equals(target)).toBe(true);
    expect(size).toBe((await readFile(path('patch'))).length);
  });

  it('are made of and to empty files', async () => {
    for (const [base, target] of [
      [Buffer.alloc(0), Buffer.from('something')],
      [Buffer.from('something'), Buffer.alloc(0)],
    ] as const) {
      await make(base, target, 1000);
      await apply(target);
      expect(await readFile(path('result'))).toEqual(target);
    }
  });

  it('are given up where they would be too large', async () => {
    expect(await make(randomBytes(100_000), randomBytes(100_000), 80_000)).toBeUndefined();
  });

  it('never leave a file that is not the one that was wanted', async () => {
    const base = randomBytes(200_000);
    const target = Buffer.concat([base, randomBytes(1000)]);
    await make(base, target);
    const patch = await readFile(path('patch'));
    const damaged = Buffer.from(patch);
    damaged[patch.length - 20] = (damaged[patch.length - 20] ?? 0) ^ 1;
    await writeFile(path('patch'), damaged);
    await expect(apply(target)).rejects.toThrow();
    await writeFile(path('patch'), patch);
    await writeFile(path('base'), Buffer.from(base).fill(0, 5, 9));
    await expect(apply(target)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(existsSync(path('result')) || existsSync(path('result.new'))).toBe(false);
  });
});
