import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { listFilePaths } from '../list-files.ts';
import { unpackTar } from './unpack-tar.ts';
import { unpackZip } from './unpack-zip.ts';

let root = '';
let n = 0;
let folder = '';
const { signal } = new AbortController();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'unpack-'));
});
beforeEach(() => {
  folder = join(root, `out-${n++}`, 'inner');
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface ZipEntry {
  readonly name: string;
  readonly content?: Buffer;
  readonly mode?: number;
  readonly compress?: boolean;
}

async function zipOf(entries: readonly ZipEntry[]): Promise<Buffer> {
  const zip = new ZipFile();
  const path = join(root, `in-${n++}.zip`);
  // The writer refuses bad names, so they are written as others of the same length and replaced in the bytes.
  const masked = entries.map((entry) => ({ ...entry, mask: entry.name.replace(/[^A-Za-z0-9_]/g, 'Q') }));
  for (const { mask, content = Buffer.from('x'), mode = 0o100644, compress = false } of masked) {
    zip.addBuffer(content, mask, { mode, compress, mtime: new Date(0) });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(path));
  let bytes = (await readFile(path)).toString('latin1');
  for (const { mask, name } of masked) bytes = bytes.replaceAll(mask, name);
  return Buffer.from(bytes, 'latin1');
}

async function unzip(bytes: Uint8Array, limits?: Parameters<typeof unpackZip>[3]): Promise<string[]> {
  const path = join(root, `in-${n++}.zip`);
  await writeFile(path, bytes);
  await unpackZip(path, folder, signal, limits);
  return listFilePaths(folder);
}

type TarHeader = Parameters<ReturnType<typeof pack>['entry']>[0];

async function tarOf(entries: readonly (TarHeader & { content?: string })[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) tar.entry(header);
    else tar.entry(header, content);
  }
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar) if (part instanceof Uint8Array) parts.push(part);
  return Buffer.concat(parts);
}

async function untar(bytes: Uint8Array, gzip = false): Promise<string[]> {
  const path = join(root, `in-${n++}.tar`);
  await writeFile(path, bytes);
  await unpackTar(path, folder, { gzip, signal });
  return listFilePaths(folder);
}

const unsafe = { code: 'ARCHIVE_UNSAFE' };

describe('unpackZip', () => {
  it('writes files and folders', async () => {
    const bytes = await zipOf([{ name: 'a/b/c.txt', content: Buffer.from('deep'), compress: true }, { name: 'top.txt' }]);
    expect(await unzip(bytes)).toEqual(['a/b/c.txt', 'top.txt']);
    expect(await readFile(join(folder, 'a/b/c.txt'), 'utf8')).toBe('deep');
  });

  it('writes entries of several megabytes', async () => {
    const content = Buffer.alloc(3_000_000, 7);
    await unzip(await zipOf([{ name: 'large.bin', content, compress: true }]));
    expect((await readFile(join(folder, 'large.bin'))).equals(content)).toBe(true);
  });

  it.each(['../evil.txt', 'a/../../evil.txt', '/etc/evil.txt', 'C:/evil.txt', '..\\evil.txt', 'a/'.repeat(40).concat('deep')])(
    'refuses the path %j and writes nothing outside',
    async (name) => {
      await expect(unzip(await zipOf([{ name }]))).rejects.toMatchObject(unsafe);
      expect((await listFilePaths(join(folder, '..'))).filter((path) => path.includes('evil'))).toEqual([]);
    },
  );

  it('refuses links and devices', async () => {
    await expect(unzip(await zipOf([{ name: 'link', content: Buffer.from('/etc/passwd'), mode: 0o120777 }]))).rejects.toMatchObject(unsafe);
    await expect(unzip(await zipOf([{ name: 'device', mode: 0o060644 }]))).rejects.toMatchObject(unsafe);
  });

  it('refuses a path that is there twice, and a file used as a folder', async () => {
    await expect(unzip(await zipOf([{ name: 'same' }, { name: 'same' }]))).rejects.toMatchObject(unsafe);
    folder = join(root, `out-${n++}`, 'inner');
    await expect(unzip(await zipOf([{ name: 'file' }, { name: 'file/below' }]))).rejects.toMatchObject(unsafe);
  });

  it('refuses too many entries and too many bytes', async () => {
    const bytes = await zipOf([
      { name: 'a', content: Buffer.alloc(600) },
      { name: 'b', content: Buffer.alloc(600) },
    ]);
    await expect(unzip(bytes, { maxEntries: 1, maxBytes: 10_000 })).rejects.toMatchObject(unsafe);
    folder = join(root, `out-${n++}`, 'inner');
    await expect(unzip(bytes, { maxEntries: 10, maxBytes: 1000 })).rejects.toMatchObject(unsafe);
  });

  it('refuses a bomb by its ratio', async () => {
    const bytes = await zipOf([{ name: 'bomb', content: Buffer.alloc(200 * 1024 * 1024), compress: true }]);
    expect(bytes.length).toBeLessThan(400_000);
    await expect(unzip(bytes)).rejects.toMatchObject(unsafe);
  });

  it('unpacks or refuses any damaged zip, and never fails otherwise', async () => {
    const good = await zipOf([{ name: 'a.txt', content: Buffer.from('hello hello hello'), compress: true }, { name: 'b/c.txt' }]);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), async (position, value, cut) => {
        folder = join(root, `out-${n++}`, 'inner');
        const bytes = Buffer.from(cut ? good.subarray(0, position) : good);
        if (!cut) bytes[position] = value;
        await unzip(bytes).catch((error: unknown) => expect(error).toMatchObject(unsafe));
      }),
      { numRuns: 150 },
    );
  });
});

describe('unpackTar', () => {
  const entries = [
    { name: './', type: 'directory' as const },
    { name: './a/', type: 'directory' as const },
    { name: './a/b.txt', content: 'deep' },
    { name: `${'long-'.repeat(30)}name.txt`, content: 'x' },
  ];

  it('writes files and folders, plain and gzipped', async () => {
    const bytes = await tarOf(entries);
    expect(await untar(bytes)).toEqual(['a/b.txt', `${'long-'.repeat(30)}name.txt`]);
    folder = join(root, `out-${n++}`, 'inner');
    expect(await untar(gzipSync(bytes), true)).toHaveLength(2);
    expect(await readFile(join(folder, 'a/b.txt'), 'utf8')).toBe('deep');
  });

  it('streams entries of several megabytes', async () => {
    const content = 'y'.repeat(5_000_000);
    await untar(await tarOf([{ name: 'large', content }]));
    expect((await readFile(join(folder, 'large'), 'utf8')) === content).toBe(true);
  });

  it.each([
    ['a path above', { name: '../evil.txt', content: 'x' }],
    ['an absolute path', { name: '/tmp/evil.txt', content: 'x' }],
    ['a symbolic link', { name: 'link', type: 'symlink' as const, linkname: '/etc' }],
    ['a hard link', { name: 'link', type: 'link' as const, linkname: '/etc/passwd' }],
    ['a device', { name: 'device', type: 'block-device' as const }],
  ])('refuses %s', async (_what, entry) => {
    await expect(untar(await tarOf([{ name: 'good.txt', content: 'x' }, entry]))).rejects.toMatchObject(unsafe);
  });

  it('unpacks or refuses any damaged tar, and never fails otherwise', async () => {
    const plain = await tarOf(entries);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.nat(), fc.nat(255), fc.boolean(), async (gzip, position, value, cut) => {
        folder = join(root, `out-${n++}`, 'inner');
        const good = gzip ? gzipSync(plain) : plain;
        const bytes = Buffer.from(cut ? good.subarray(0, position % good.length) : good);
        if (!cut) bytes[position % good.length] = value;
        await untar(bytes, gzip).catch((error: unknown) => expect(error).toMatchObject(unsafe));
      }),
      { numRuns: 150 },
    );
  });

  it('refuses what is cut or not gzip', async () => {
    const bytes = await tarOf([{ name: 'a', content: 'x'.repeat(5000) }]);
    await expect(untar(bytes.subarray(0, 2000))).rejects.toMatchObject(unsafe);
    folder = join(root, `out-${n++}`, 'inner');
    await expect(untar(gzipSync(bytes).subarray(0, 40), true)).rejects.toMatchObject(unsafe);
    folder = join(root, `out-${n++}`, 'inner');
    await expect(untar(bytes, true)).rejects.toMatchObject(unsafe);
  });
});
