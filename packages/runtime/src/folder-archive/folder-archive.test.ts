import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCommand } from '../testing/run-command.ts';
import { besideOf, describeFolder, measureFolder, packFolder, replaceFolder, settlePlace, unpackFolder } from './index.ts';

type TarHeader = Parameters<ReturnType<typeof pack>['entry']>[0];
type Entries = readonly (TarHeader & { content?: string })[];

let base = '';
let n = 0;
let source = '';
let target = '';
const { signal } = new AbortController();
const unsafe = { code: 'ARCHIVE_UNSAFE' };

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'folder-archive-'));
});
beforeEach(async () => {
  n += 1;
  source = join(base, `source-${n}`);
  target = join(base, `target-${n}`, 'inner');
  await mkdir(dirname(target));
});
afterAll(() => rm(base, { recursive: true, force: true }));

async function fill(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

async function packed(folder: string, mode?: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of packFolder(folder, { mode })) parts.push(part);
  return Buffer.concat(parts);
}

async function* inChunks(bytes: Uint8Array, chunkBytes = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

const unpack = (bytes: Uint8Array, maxBytes = 1e9) => unpackFolder(inChunks(bytes), target, { signal, maxBytes });

/** An archive as somebody else might make it, the folder itself first. */
async function tarOf(entries: Entries, first: Entries = [{ name: './', type: 'directory' }]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of [...first, ...entries]) {
    if (content === undefined) tar.entry(header);
    else tar.entry(header, content);
  }
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar) if (part instanceof Uint8Array) parts.push(part);
  return Buffer.concat(parts);
}

const LONG = `${'long-'.repeat(30)}name`;

describe('packFolder', () => {
  it('depends on names, contents, links and permissions alone', async () => {
    const other = `${source}-other`;
    await fill(source, { 'b/x': 'x', 'b.txt': 'b', 'ä/ö': 'umlaut', [`${LONG}/${LONG}`]: 'long', empty: '' });
    await fill(other, { empty: '', [`${LONG}/${LONG}`]: 'long', 'b.txt': 'b', 'ä/ö': 'umlaut', 'b/x': 'x' });
    await utimes(join(other, 'b.txt'), 1, 1);
    expect((await packed(source)).equals(await packed(other))).toBe(true);
    const before = await describeFolder(source);
    expect(before.sizeBytes).toBe((await packed(source)).length);
    expect(await measureFolder(source)).toBe(before.sizeBytes);
    await chmod(join(other, 'b.txt'), 0o600);
    expect((await describeFolder(other)).sha256).not.toBe(before.sha256);
    await chmod(join(other, 'b.txt'), 0o644);
    expect(await describeFolder(other)).toEqual(before);
    await mkdir(join(other, 'new'));
    expect((await describeFolder(other)).sha256).not.toBe(before.sha256);
  });

  it('makes an archive that tar can read', async () => {
    await fill(source, { 'b/x': 'x', 'ä/ö': 'umlaut', [`${LONG}/${LONG}`]: 'long' });
    await symlink(LONG, join(source, 'link'));
    await writeFile(`${source}.tar`, await packed(source));
    await mkdir(target);
    await runCommand('tar', ['-xf', `${source}.tar`, '-C', target]);
    expect(await describeFolder(target)).toEqual(await describeFolder(source));
  });

  it('leaves out what transfers keep there until they are done', async () => {
    await fill(source, { a: 'a' });
    const before = await describeFolder(source);
    await writeFile(join(source, `.selvedge-${'0'.repeat(32)}.part`), 'half');
    await mkdir(besideOf({ folder: source, name: 'x' }, 'new'));
    expect(await describeFolder(source)).toEqual(before);
  });

  it('names what it cannot pack', async () => {
    await fill(source, { 'deep/a': 'a' });
    await symlink('../../outside', join(source, 'deep/out'));
    await expect(packed(source)).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining('"deep/out"') });
    await rm(join(source, 'deep/out'));
    const socket = createServer().listen(join(source, 'deep/socket'));
    await new Promise((resolve) => socket.once('listening', resolve));
    await expect(packed(source)).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining('"deep/socket"') });
    await new Promise((resolve) => socket.close(resolve));
    expect((await packed(source)).length).toBeGreaterThan(0);
  });
});

describe('unpackFolder', () => {
  it('gives back what was packed, whatever that was', async () => {
    const name = fc.stringMatching(/^[a-zäöü0-9_. -]{0,60}[a-zö0-9]$/).filter((one) => !one.startsWith('.'));
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const file = fc.tuple(path, fc.uint8Array({ maxLength: 3000 }), fc.constantFrom(0o644, 0o755, 0o600, 0o444));
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 8 }), async (files) => {
        const [from, to] = [join(base, `from-${n}`), join(base, `to-${n++}`)];
        await mkdir(from);
        for (const [at, content, mode] of files) {
          // a path below a file of before is none
          const made = await fill(from, { [at]: content }).then(
            () => true,
            () => false,
          );
          if (made) await chmod(join(from, at), mode);
        }
        const bytes = await packed(from);
        await unpackFolder(inChunks(bytes), to, { signal, maxBytes: 1e9 });
        expect((await packed(to)).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps permissions and links within, and drops every other bit', async () => {
    await fill(source, { 'lib/libx.so.1': 'x', 'bin/tool': 'tool', secret: 's' });
    await chmod(join(source, 'bin/tool'), 0o4755);
    await chmod(join(source, 'secret'), 0o600);
    await chmod(join(source, 'lib'), 0o2750);
    await symlink('libx.so.1', join(source, 'lib/libx.so'));
    await symlink('../lib/nothing', join(source, 'bin/dangling'));
    await unpack(await packed(source));
    const modeOf = async (path: string) => (await lstat(join(target, path))).mode & 0o7777;
    expect(await modeOf('bin/tool')).toBe(0o755);
    expect(await modeOf('secret')).toBe(0o600);
    expect(await modeOf('lib')).toBe(0o750);
    expect(await readFile(join(target, 'lib/libx.so'), 'utf8')).toBe('x');
    expect(await readlink(join(target, 'bin/dangling'))).toBe('../lib/nothing');
    expect(await describeFolder(target)).toEqual(await describeFolder(source));
  });

  it('takes one permission for all files, and lets those into folders who may read', async () => {
    await fill(source, { 'a/b': 'x' });
    await unpack(await packed(source, 0o640));
    expect((await stat(join(target, 'a/b'))).mode & 0o777).toBe(0o640);
    expect((await stat(join(target, 'a'))).mode & 0o777).toBe(0o750);
  });

  it.each<[string, Entries, Entries?]>([
    ['a path above', [{ name: '../evil', content: 'x' }]],
    [
      'a path above, behind a folder',
      [
        { name: 'a/', type: 'directory' },
        { name: 'a/../../evil', content: 'x' },
      ],
    ],
    ['an absolute path', [{ name: '/tmp/evil', content: 'x' }]],
    ['a dot in a path', [{ name: './evil', content: 'x' }]],
    ['a folder that was not named', [{ name: 'evil/x', content: 'x' }]],
    ['a link to an absolute path', [{ name: 'link', type: 'symlink', linkname: '/etc' }]],
    ['a link above', [{ name: 'link', type: 'symlink', linkname: '..' }]],
    [
      'a link above from a folder',
      [
        { name: 'a/', type: 'directory' },
        { name: 'a/link', type: 'symlink', linkname: '../../evil' },
      ],
    ],
    ['a link that goes up behind a name', [{ name: 'a', type: 'symlink', linkname: 'b/../..' }]],
    ['a link to nothing', [{ name: 'a', type: 'symlink', linkname: '' }]],
    [
      'a file behind a link',
      [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'a/evil', content: 'x' },
      ],
    ],
    [
      'a file in the place of a link',
      [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'a', content: 'x' },
      ],
    ],
    ['a hard link', [{ name: 'a', type: 'link', linkname: '/etc/passwd' }]],
    ['a device', [{ name: 'a', type: 'block-device', devmajor: 8 }]],
    ['a terminal', [{ name: 'a', type: 'character-device' }]],
    ['a pipe', [{ name: 'a', type: 'fifo' }]],
    [
      'a path twice',
      [
        { name: 'a', content: 'x' },
        { name: 'a', content: 'y' },
      ],
    ],
    [
      'a folder twice',
      [
        { name: 'a/', type: 'directory' },
        { name: 'a/', type: 'directory' },
      ],
    ],
    [
      'a folder that is gone back to',
      [
        { name: 'a/', type: 'directory' },
        { name: 'b', content: 'x' },
        { name: 'a/x', content: 'x' },
      ],
    ],
    [
      'another order',
      [
        { name: 'b', content: 'x' },
        { name: 'a', content: 'x' },
      ],
    ],
    ['no folder at the beginning', [{ name: 'a', content: 'x' }], []],
    ['a folder that leads away', [], [{ name: '../', type: 'directory' }]],
    ['nothing', [], []],
    ['a path in pax records that differs', [{ name: 'a', content: 'x', pax: { path: '../evil' } }]],
    ['a link in pax records', [{ name: 'a', type: 'symlink', linkname: 'b', pax: { linkpath: '/etc' } }]],
    ['a name that is too long', [{ name: 'x'.repeat(256), content: 'x' }]],
    ['a depth without end', Array.from({ length: 70 }, (_, at) => ({ name: 'd/'.repeat(at + 1), type: 'directory' as const }))],
  ])('refuses %s, and writes nothing outside', async (_what, entries, first) => {
    await expect(unpack(await tarOf(entries, first))).rejects.toMatchObject(unsafe);
    expect((await readdir(dirname(target))).filter((name) => name !== 'inner')).toEqual([]);
  });

  it('follows no chain of links out, each of which stays inside', async () => {
    const entries: Entries = [
      { name: 'd/', type: 'directory' },
      { name: 'd/e/', type: 'directory' },
      { name: 'd/e/up', type: 'symlink', linkname: '../..' },
    ];
    await expect(unpack(await tarOf([...entries, { name: 'd/e/v', type: 'symlink', linkname: 'up/..' }]))).rejects.toMatchObject(unsafe);
  });

  it('refuses more bytes and more entries than are allowed', async () => {
    const bytes = await tarOf([
      { name: 'a', content: 'x'.repeat(600) },
      { name: 'b', content: 'x'.repeat(600) },
    ]);
    await expect(unpack(bytes, 1000)).rejects.toMatchObject(unsafe);
    await rm(target, { recursive: true });
    await unpack(bytes, 1200);
  });

  it('names the entry that it refuses', async () => {
    const bytes = await tarOf([{ name: 'current', type: 'symlink', linkname: '/srv/v2' }]);
    await expect(unpack(bytes)).rejects.toThrow(/"current" is a link that leads out of the folder \(\/srv\/v2\)/);
  });

  it('unpacks or refuses any damaged archive, and never fails otherwise', async () => {
    await fill(source, { 'a/b.txt': 'deep', [LONG]: 'x', 'c/d/e': 'y'.repeat(600) });
    await symlink('a', join(source, 'l'));
    const good = await packed(source);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(255), fc.boolean(), async (position, value, cut) => {
        target = join(base, `damaged-${n++}`, 'inner');
        await mkdir(dirname(target));
        const bytes = Buffer.from(cut ? good.subarray(0, position % good.length) : good);
        if (!cut) bytes[position % good.length] = value;
        await unpack(bytes).catch((error: unknown) => expect(error).toMatchObject(unsafe));
        expect((await readdir(dirname(target))).filter((name) => name !== 'inner')).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

describe('replaceFolder', () => {
  const contentOf = (path: string) => readFile(path, 'utf8').catch(() => undefined);

  it('puts the new in the place of the old, and leaves nothing beside', async () => {
    const place = { folder: source, name: 'app' };
    await fill(besideOf(place, 'new'), { v: '1' });
    await replaceFolder(place);
    await fill(besideOf(place, 'new'), { v: '2' });
    await replaceFolder(place);
    expect(await contentOf(join(source, 'app/v'))).toBe('2');
    expect(await readdir(source)).toEqual(['app']);
  });

  it.each([
    ['before the first rename', { target: '1', new: '2' }, '1'],
    ['between the renames', { old: '1', new: '2' }, '2'],
    ['between the renames, the new one lost', { old: '1' }, '1'],
    ['before the old was removed', { target: '2', old: '1' }, '2'],
    ['while a first one was unpacked', { new: '2' }, undefined],
  ])('is settled when it was ended %s', async (_when, state: { target?: string; new?: string; old?: string }, expected) => {
    const place = { folder: source, name: 'app' };
    await mkdir(source);
    if (state.target !== undefined) await fill(join(source, 'app'), { v: state.target });
    if (state.new !== undefined) await fill(besideOf(place, 'new'), { v: state.new });
    if (state.old !== undefined) await fill(besideOf(place, 'old'), { v: state.old });
    await settlePlace(place);
    expect(await contentOf(join(source, 'app/v'))).toBe(expected);
    expect(await readdir(source)).toEqual(expected === undefined ? [] : ['app']);
  });
});
