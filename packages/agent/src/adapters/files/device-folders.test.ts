import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { besideOf, describeFolder, packFolder, unpackFolder } from '@selvedge/runtime/folder-archive';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PullCommand, PushFolderCommand } from '../../ports/device-files.ts';
import { BreakingLink } from '../../testing/breaking-link.ts';
import { AllowedRoots } from './allowed-roots.ts';
import { DiskDeviceFiles } from './disk-device-files.ts';
import { UnfinishedFolders } from './unfinished-folders.ts';

describe('folders of a device', () => {
  let base: string;
  let root: string;
  let source: string;
  let files: DiskDeviceFiles;
  let link: BreakingLink;
  const { signal } = new AbortController();
  const log = createLogger({ name: 'test', write: () => undefined });

  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'device-folders-')));
    root = join(base, 'root');
    source = join(base, 'source');
    await mkdir(root);
    await fill(source, { 'a.txt': 'one', 'deep/b.bin': 'x'.repeat(100_000) });
    link = new BreakingLink();
    const roots = new AllowedRoots([root]);
    files = new DiskDeviceFiles({
      dir: join(base, 'agent'),
      unfinishedDir: join(base, 'unfinished'),
      readRoots: roots,
      writeRoots: roots,
      openBlob: link.openBlob,
      sentBytes: link.sentBytes,
      sendPart: link.sendPart,
      log,
      clock: () => Date.now(),
    });
  });
  afterEach(() => rm(base, { recursive: true }));

  async function fill(folder: string, content: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(content)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }
  const head = { v: 1 as const, id: 'a', expiresAt: new Date().toISOString(), operation: 'op-1' };
  const pushed = (path: string, archive: Buffer, more: Partial<PushFolderCommand> = {}): PushFolderCommand => {
    return { ...head, type: 'push-folder', file: link.offer(archive), path, ...more };
  };
  const push = async (path: string, more: Partial<PushFolderCommand> = {}) => pushed(path, await buffer(packFolder(source)), more);
  const pull = (path: string, more: Partial<PullCommand> = {}): PullCommand => ({ ...head, type: 'pull', path, folder: true, ...more });
  const app = () => join(root, 'app');

  it('come whole over a link that is cut, and a second time not at all', async () => {
    link.cuts = [30_000, 40_000];
    expect(await files.receive(await push(join(root, 'new/app')), signal)).toMatchObject({ changed: true, folder: true });
    expect(link.offsets).toEqual([0, 30_000, 70_000]);
    expect(await describeFolder(join(root, 'new/app'))).toEqual(await describeFolder(source));
    expect(await readdir(join(root, 'new'))).toEqual(['app']);
    expect(await readdir(join(base, 'unfinished'))).toEqual([]);
    expect(await files.receive(await push(join(root, 'new/app')), signal)).toMatchObject({ changed: false });
    expect(link.offsets).toHaveLength(3);
  });

  it('are replaced as a whole where anything differs', async () => {
    await files.receive(await push(app()), signal);
    await fill(app(), { 'only-here': 'x' });
    expect(await files.receive(await push(app(), { check: true }), signal)).toMatchObject({ changed: true });
    expect((await readdir(app())).sort()).toEqual(['a.txt', 'deep', 'only-here']);
    expect(await files.receive(await push(app()), signal)).toMatchObject({ changed: true });
    expect((await readdir(app())).sort()).toEqual(['a.txt', 'deep']);
    await chmod(join(app(), 'a.txt'), 0o600);
    expect(await files.receive(await push(app(), { check: true }), signal)).toMatchObject({ changed: true });
    expect(await files.receive(await push(join(root, 'no/where'), { check: true }), signal)).toMatchObject({ changed: true });
    expect(await readdir(root)).toEqual(['app']);
  });

  it('replace a link instead of following it, and no file', async () => {
    const outside = join(base, 'outside');
    await mkdir(outside);
    await symlink(outside, app());
    await files.receive(await push(app()), signal);
    expect((await lstat(app())).isDirectory()).toBe(true);
    expect(await readdir(outside)).toEqual([]);
    await writeFile(join(root, 'file'), 'x');
    await expect(files.receive(await push(join(root, 'file')), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    for (const path of [root, outside, `${root}/../outside`, '/etc/app'])
      await expect(files.receive(await push(path), signal), path).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('leave nothing of a hostile archive, and what was there stays', async () => {
    await files.receive(await push(app()), signal);
    const archive = await buffer(packFolder(source));
    // all of it, and then all of it once more, without the empty blocks at the end
    const hostile = pushed(app(), Buffer.concat([archive.subarray(0, -1024), archive]));
    await expect(files.receive(hostile, signal)).rejects.toMatchObject({
      code: 'ARCHIVE_UNSAFE',
      message: expect.stringContaining('"."'),
    });
    expect(await readdir(root)).toEqual(['app']);
    expect(await describeFolder(app())).toEqual(await describeFolder(source));
  });

  it('leave nothing when the transfer is ended', async () => {
    const control = new AbortController();
    link.cuts = [30_000];
    const command = await push(app());
    const receiving = files.receive(command, control.signal);
    control.abort(new Error('cancelled'));
    await expect(receiving).rejects.toThrow('cancelled');
    await files.forget(command);
    expect(await readdir(root)).toEqual([]);
  });

  it('have their place again after the agent was killed between two renames', async () => {
    await files.receive(await push(app()), signal);
    const place = { folder: root, name: 'app' };
    await fill(source, { 'a.txt': 'two' });
    const unfinished = new UnfinishedFolders(join(base, 'unfinished'));
    await unfinished.note(place);
    await unpackFolder(packFolder(source), besideOf(place, 'new'), { signal, maxBytes: 1e9 });
    await rename(app(), besideOf(place, 'old'));
    await unfinished.settle(log);
    expect(await readFile(join(app(), 'a.txt'), 'utf8')).toBe('two');
    expect(await readdir(root)).toEqual(['app']);
    expect(await readdir(join(base, 'unfinished'))).toEqual([]);
    // a disk that is not there yet
    await unfinished.note({ folder: join(base, 'unmounted'), name: 'app' });
    await unfinished.settle(log);
    expect(await readdir(join(base, 'unfinished'))).toHaveLength(1);
  });

  it('are sent as they were when it began, over a link that is cut', async () => {
    await files.receive(await push(app()), signal);
    const before = await describeFolder(app());
    link.cuts = [20_000];
    link.beforeSend = () => fill(app(), { 'a.txt': 'changed meanwhile', new: 'x' });
    const result = await files.send(pull(app()), signal);
    expect(result).toEqual({ ...before, changed: false, folder: true });
    expect(sha256Hex(link.sent)).toBe(before.sha256);
    expect(await readdir(join(base, 'agent/packed-folders'))).toEqual([]);
  });

  it('are sent only where they are asked for; an allowed folder itself as well', async () => {
    await fill(app(), { x: 'x' });
    await expect(files.send(pull(app(), { folder: false }), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await files.send(pull(root, { check: true }), signal)).toMatchObject({ folder: true, ...(await describeFolder(root)) });
    expect(link.sent.byteLength).toBe(0);
    expect((await files.send(pull(join(app(), 'x')), signal)).folder).toBeUndefined();
    await symlink('/etc/hostname', join(app(), 'secret'));
    await expect(files.send(pull(app()), signal)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining('"secret"'),
    });
  });

  it('are refused before anything is fetched where archive and folder do not fit', async () => {
    const { bavail, bsize } = await statfs(root);
    const file = { sha256: '0'.repeat(64), sizeBytes: Math.floor((bavail * bsize) / 2) };
    await expect(files.receive({ ...(await push(app())), file }, signal)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(link.offsets).toEqual([]);
    expect(await stat(app()).catch(() => undefined)).toBeUndefined();
  });
});
