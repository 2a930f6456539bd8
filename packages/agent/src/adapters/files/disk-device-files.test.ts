import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, sha256Hex } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PullCommand, PushCommand } from '../../ports/device-files.ts';
import { BreakingLink } from '../../testing/breaking-link.ts';
import { AllowedRoots } from './allowed-roots.ts';
import { DiskDeviceFiles } from './disk-device-files.ts';

describe('DiskDeviceFiles', () => {
  let base: string;
  let root: string;
  let files: DiskDeviceFiles;
  let link: BreakingLink;
  const { signal } = new AbortController();

  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'device-files-')));
    root = join(base, 'root');
    await mkdir(root);
    link = new BreakingLink();
    const roots = new AllowedRoots([root, join(base, 'missing')]);
    files = new DiskDeviceFiles({
      dir: join(base, 'agent'),
      unfinishedDir: join(base, 'unfinished'),
      readRoots: roots,
      writeRoots: roots,
      openBlob: link.openBlob,
      sentBytes: link.sentBytes,
      sendPart: link.sendPart,
      log: createLogger({ name: 'test', write: () => undefined }),
      clock: () => Date.now(),
    });
  });
  afterEach(() => rm(base, { recursive: true }));

  const head = { v: 1 as const, id: 'a', expiresAt: new Date().toISOString(), operation: 'op-1' };
  const push = (path: string, content: Buffer, more: Partial<PushCommand> = {}): PushCommand => {
    return { ...head, type: 'push', file: link.offer(content), path, ...more };
  };
  const pull = (path: string, more: Partial<PullCommand> = {}): PullCommand => ({ ...head, type: 'pull', path, ...more });

  it('makes the folders that lead to a file, and goes on where a download broke off', async () => {
    const content = randomBytes(2_000_000);
    link.cuts = [600_000, 700_000];
    const result = await files.receive(push(join(root, 'a/b/data.bin'), content, { mode: 0o640 }), signal);
    expect(result).toMatchObject({ sizeBytes: 2_000_000, changed: true });
    expect(link.offsets).toEqual([0, 600_000, 1_300_000]);
    expect(sha256Hex(await readFile(join(root, 'a/b/data.bin')))).toBe(sha256Hex(content));
    expect((await stat(join(root, 'a/b/data.bin'))).mode & 0o777).toBe(0o640);
    expect(await readdir(join(root, 'a/b'))).toEqual(['data.bin']);
  });

  it('uses what an earlier process had fetched, and throws away what turns out to be something else', async () => {
    const content = randomBytes(100_000);
    const command = push(join(root, 'data.bin'), content);
    const gone = new AbortController();
    link.cuts = [40_000];
    const first = files.receive(command, gone.signal);
    gone.abort(new Error('killed'));
    await expect(first).rejects.toThrow();
    const [part = ''] = await readdir(root);
    expect(part).toMatch(/^\.selvedge-.*\.part$/);
    await writeFile(join(root, part), content.subarray(0, 50_000));
    link.cuts = [];
    link.offsets = [];
    await files.receive(command, signal);
    expect(link.offsets).toEqual([50_000]);
    expect(sha256Hex(await readFile(join(root, 'data.bin')))).toBe(sha256Hex(content));
    await rm(join(root, 'data.bin'));
    await writeFile(join(root, part), randomBytes(50_000));
    await expect(files.receive(command, signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await readdir(root)).toEqual([]);
  });

  it('fetches nothing that is there already, and only tells when it is to check', async () => {
    const content = randomBytes(1000);
    const path = join(root, 'data.bin');
    expect(await files.receive(push(path, content, { check: true }), signal)).toMatchObject({ changed: true });
    expect(await files.receive(push(join(root, 'no/folder/x'), content, { check: true }), signal)).toMatchObject({ changed: true });
    expect(await readdir(root)).toEqual([]);
    await writeFile(path, content, { mode: 0o600 });
    expect(await files.receive(push(path, content), signal)).toMatchObject({ changed: false });
    expect(await files.receive(push(path, content, { mode: 0o644 }), signal)).toMatchObject({ changed: true });
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(link.offsets).toEqual([]);
  });

  it('keeps the permissions of a file that it replaces, and replaces a link instead of following it', async () => {
    const outside = join(base, 'outside.txt');
    await writeFile(outside, 'mine');
    await symlink(outside, join(root, 'link'));
    await files.receive(push(join(root, 'link'), Buffer.from('theirs')), signal);
    expect(await readFile(outside, 'utf8')).toBe('mine');
    expect(await readFile(join(root, 'link'), 'utf8')).toBe('theirs');
    await writeFile(join(root, 'tool'), 'old', { mode: 0o700 });
    await files.receive(push(join(root, 'tool'), Buffer.from('new')), signal);
    expect((await stat(join(root, 'tool'))).mode & 0o777).toBe(0o700);
  });

  it('refuses what is outside the allowed folders, as it is written and as it is on the disk', async () => {
    const outside = join(base, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await symlink(outside, join(root, 'way-out'));
    await symlink(join(outside, 'secret'), join(root, 'secret'));
    const content = Buffer.from('x');
    for (const path of [
      '/etc/x',
      root,
      `${root}/../x`,
      `${root}x/y`,
      `${root}/way-out/x`,
      `${root}/way-out/deep/x`,
      join(base, 'missing/x'),
    ])
      await expect(files.receive(push(path, content), signal), path).rejects.toMatchObject({ code: 'FORBIDDEN' });
    for (const path of ['/etc/hostname', `${root}/way-out/secret`, `${root}/secret`])
      await expect(files.send(pull(path), signal), path).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await readdir(outside)).toEqual(['secret']);
  });

  it('follows a link from one place of the allowed folders to another', async () => {
    await mkdir(join(root, 'v2'));
    await symlink('v2', join(root, 'current'));
    await files.receive(push(join(root, 'current/app.conf'), Buffer.from('x')), signal);
    expect(await readFile(join(root, 'v2/app.conf'), 'utf8')).toBe('x');
  });

  it('tells apart what is not a file', async () => {
    await mkdir(join(root, 'folder'));
    await writeFile(join(root, 'file'), 'x');
    await expect(files.receive(push(join(root, 'folder'), Buffer.from('x')), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(files.receive(push(join(root, 'file/x'), Buffer.from('x')), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(files.send(pull(join(root, 'folder')), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(files.send(pull(join(root, 'nothing')), signal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('sends a file, on from what the server has', async () => {
    const content = randomBytes(3_000_000);
    await writeFile(join(root, 'data.bin'), content);
    link.cuts = [1_000_000, 1_500_000];
    const result = await files.send(pull(join(root, 'data.bin')), signal);
    expect(result).toEqual({ sha256: sha256Hex(content), sizeBytes: 3_000_000, changed: false });
    expect(sha256Hex(link.sent)).toBe(sha256Hex(content));
    link.sent = Buffer.alloc(0);
    await files.send(pull(join(root, 'data.bin'), { check: true }), signal);
    expect(link.sent.byteLength).toBe(0);
  });

  it('refuses a file that does not fit on the disk before it fetches anything', async () => {
    const file = { sha256: '0'.repeat(64), sizeBytes: Number.MAX_SAFE_INTEGER };
    const command = { ...push(join(root, 'huge'), Buffer.from('')), file };
    await expect(files.receive(command, signal)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(link.offsets).toEqual([]);
    await files.forget(command);
    expect(await readdir(root)).toEqual([]);
  });
});
