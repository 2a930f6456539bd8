import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { extract } from 'tar-stream';
import { afterEach, describe, expect, test } from 'vitest';
import { listFiles } from './list-files.ts';
import { packTar } from './pack-tar.ts';

const signal = new AbortController().signal;
const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'selvedge-pack-'));
  folders.push(path);
  return path;
}

async function write(root: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

async function packed(root: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packTar((await listFiles([root], signal)).files, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function unpacked(tar: Buffer): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const extractor = extract();
  Readable.from([tar]).pipe(extractor as unknown as NodeJS.WritableStream);
  for await (const entry of extractor) {
    const hash = createHash('sha256');
    for await (const chunk of entry) hash.update(chunk as Buffer);
    found.set(entry.header.name, hash.digest('hex'));
  }
  return found;
}

const name = fc.stringMatching(/^[a-zäöü0-9_. -]{1,30}[a-z0-9]$/);
const file = fc.tuple(
  fc.array(name, { minLength: 1, maxLength: 8 }).map((parts) => `d${parts.join('/d')}/f.png`),
  fc.uint8Array({ maxLength: 3000 }),
);

describe('packing', () => {
  test('depends on paths and contents alone, and loses nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(file, { selector: ([path]) => path, minLength: 1, maxLength: 8 }), async (files) => {
        const [one, two] = [await folder(), await folder()];
        await write(one, files);
        await write(two, [...files].reverse());
        for (const [path] of files) {
          await utimes(join(two, path), 1, 1);
          await chmod(join(two, path), 0o600);
        }
        const tar = await packed(one);
        expect((await packed(two)).equals(tar)).toBe(true);
        const expected = files.map(([path, content]) => [path, createHash('sha256').update(content).digest('hex')] as const);
        expect(await unpacked(tar)).toEqual(new Map(expected));
      }),
      { numRuns: 30 },
    );
  });

  test('streams large files whole', async () => {
    const root = await folder();
    await write(root, [
      ['big.bin', Buffer.alloc(5_000_001, 7)],
      ['empty.bin', Buffer.alloc(0)],
    ]);
    const found = await unpacked(await packed(root));
    expect(found.get('big.bin')).toBe(createHash('sha256').update(Buffer.alloc(5_000_001, 7)).digest('hex'));
    expect(found.has('empty.bin')).toBe(true);
  });

  test.each([
    ['has grown', 'longer text'],
    ['has shrunk', 'x'],
  ])('fails when a file %s since it was listed', async (_what, content) => {
    const root = await folder();
    await write(root, [
      ['a.txt', Buffer.from('text')],
      ['b.txt', Buffer.from('text')],
    ]);
    const { files } = await listFiles([root], signal);
    await writeFile(join(root, 'a.txt'), content);
    await expect(Readable.from(packTar(files, signal)).resume().toArray()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('fails when a file went away', async () => {
    const root = await folder();
    await write(root, [['a.txt', Buffer.from('text')]]);
    const { files } = await listFiles([root], signal);
    await rm(join(root, 'a.txt'));
    await expect(Readable.from(packTar(files, signal)).toArray()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});

describe('listing', () => {
  test('leaves symbolic links out and names them', async () => {
    const root = await folder();
    await write(root, [['a/1.png', Buffer.from('1')]]);
    await symlink('/etc/hostname', join(root, 'a/link.png'));
    await symlink('/etc', join(root, 'b'));
    const listing = await listFiles([root], signal);
    expect(listing.files.map((one) => one.path)).toEqual(['a/1.png']);
    expect(listing.skippedLinks).toEqual([join(root, 'a/link.png'), join(root, 'b')]);
  });

  test('refuses a socket', async () => {
    const root = await folder();
    await write(root, [['a.png', Buffer.from('1')]]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    try {
      await expect(listFiles([root], signal)).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        details: { issues: [{ message: 'is a socket, not a file' }] },
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('refuses a folder without files and a path that is not there', async () => {
    const root = await folder();
    await mkdir(join(root, 'empty'));
    await expect(listFiles([root], signal)).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await expect(listFiles([join(root, 'gone')], signal)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('gives several roots their own names and refuses two of one name', async () => {
    const [one, two] = [await folder(), await folder()];
    await write(one, [
      ['x/a.png', Buffer.from('1')],
      ['t.idx.gz', Buffer.from('2')],
    ]);
    await write(two, [['x/a.png', Buffer.from('1')]]);
    const listing = await listFiles([join(one, 'x'), join(one, 't.idx.gz')], signal);
    expect(listing.files.map((entry) => entry.path)).toEqual(['t.idx.gz', 'x/a.png']);
    await expect(listFiles([join(one, 'x'), join(two, 'x')], signal)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});
