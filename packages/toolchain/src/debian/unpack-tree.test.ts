import { mkdtemp, readFile, readlink, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeTar, type TarEntry } from '../testing/debian-fixture.ts';
import { UnpackTree } from './unpack-tree.ts';

let folder = '';
let tree: UnpackTree;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unpack-'));
  tree = new UnpackTree(join(folder, 'root'));
  await tree.prepare();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function unpack(...entries: TarEntry[]): Promise<void> {
  const tar = await makeTar(entries);
  async function* content() {
    yield tar;
  }
  await tree.unpack(content(), { wants: () => true });
}
const at = (path: string) => join(folder, 'root', path);

describe('UnpackTree', () => {
  it('writes files with their digest and the execute permission, and nothing else of the mode', async () => {
    await unpack({ name: './usr/bin/tool', content: 'x', mode: 0o4755 }, { name: './usr/share/a', content: 'y' });
    expect((await stat(at('usr/bin/tool'))).mode & 0o7777).toBe(0o755);
    expect(tree.entries.get('usr/share/a')).toEqual({
      sha256: 'a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa',
      sizeBytes: 1,
    });
  });

  it('puts what older packages have in /lib below /usr/lib', async () => {
    await unpack({ name: './lib/libx.so', content: 'x' });
    expect(await readFile(at('usr/lib/libx.so'), 'utf8')).toBe('x');
    expect(await readlink(at('lib'))).toBe('usr/lib');
  });

  it('makes absolute links point into the folder', async () => {
    await unpack(
      { name: './usr/lib/libx.so.1', content: 'x' },
      { name: './usr/lib/arm/libx.so', type: 'symlink', linkname: '/usr/lib/libx.so.1' },
    );
    expect(await readlink(at('usr/lib/arm/libx.so'))).toBe('../libx.so.1');
    expect(await readFile(at('usr/lib/arm/libx.so'), 'utf8')).toBe('x');
  });

  it('writes through a link to a folder inside, as packages expect', async () => {
    await unpack(
      { name: './usr/share/doc/base/a', content: '1' },
      { name: './usr/share/doc/dev', type: 'symlink', linkname: 'base' },
      { name: './usr/share/doc/dev/b', content: '2' },
    );
    expect(await readFile(at('usr/share/doc/base/b'), 'utf8')).toBe('2');
  });

  it('replaces a link instead of writing through it', async () => {
    await unpack({ name: './usr/a', content: '1' }, { name: './usr/b', type: 'symlink', linkname: 'a' }, { name: './usr/b', content: '2' });
    expect(await readFile(at('usr/a'), 'utf8')).toBe('1');
  });

  it.each<[string, TarEntry[]]>([
    ['a path that climbs out', [{ name: '../evil', content: 'x' }]],
    ['a path that climbs out in the middle', [{ name: './usr/../../evil', content: 'x' }]],
    ['a link that climbs out', [{ name: './usr/l', type: 'symlink', linkname: '../../evil' }]],
    [
      'a link that climbs out because it is not where it seems to be',
      [
        { name: './a/b/c/keep', content: 'x' },
        { name: './top', type: 'symlink', linkname: 'usr' },
        { name: './a/b/c/up', type: 'symlink', linkname: '../../../top' },
        { name: './a/b/c/up/l', type: 'symlink', linkname: '../../evil' },
      ],
    ],
    ['a hard link to a file of the machine', [{ name: './usr/l', type: 'link', linkname: '/etc/passwd' }]],
    [
      'a hard link to a link',
      [
        { name: './usr/s', type: 'symlink', linkname: 'x' },
        { name: './usr/l', type: 'link', linkname: './usr/s' },
      ],
    ],
    ['a device', [{ name: './dev/null', type: 'character-device' }]],
    ['a pipe', [{ name: './usr/p', type: 'fifo' }]],
    [
      'a folder that is to become a file',
      [
        { name: './usr/d/a', content: 'x' },
        { name: './usr/d', content: 'x' },
      ],
    ],
  ])('refuses %s', async (_what, entries) => {
    await expect(unpack(...entries)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    await expect(stat(join(folder, 'evil'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses to write through a link that leads out, wherever it came from', async () => {
    await symlink(folder, at('usr/outside'));
    await expect(unpack({ name: './usr/outside/evil', content: 'x' })).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
  });

  it('refuses a tar file that is cut', async () => {
    const tar = await makeTar([{ name: './usr/a', content: 'x'.repeat(5000) }]);
    async function* content() {
      yield tar.subarray(0, 2000);
    }
    await expect(tree.unpack(content(), { wants: () => true })).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
  });
});
