import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FolderLockOptions, folderLockHolder, lockFolder } from './folder-lock.ts';

const MODULE = new URL('folder-lock.ts', import.meta.url).href;
const options: FolderLockOptions = { refusal: (pid) => ({ message: `Process ${pid ?? 'unknown'} has it.` }) };

let folder = '';
let path = '';
let holder: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(folder, 'lock');
});
afterEach(async () => {
  holder?.kill('SIGKILL');
  holder = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** Another process takes the lock and keeps it until it is killed. @returns its pid. */
async function startHolder(): Promise<number> {
  const script = `
    import { lockFolder } from ${JSON.stringify(MODULE)};
    await lockFolder(${JSON.stringify(path)}, { refusal: () => ({ message: 'taken' }) });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  holder = child;
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

async function killHolder(): Promise<void> {
  const gone = holder === undefined ? undefined : once(holder, 'exit');
  holder?.kill('SIGKILL');
  await gone;
}

const refused = (pid: number) => ({ code: 'DATA_FOLDER_LOCKED', message: `Process ${pid} has it.` });

describe('lockFolder', () => {
  it('lets one holder in at a time, also out of many that come at once', async () => {
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(path, options)));
    const taken = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(taken).toHaveLength(1);
    for (const one of all) if (one.status === 'rejected') expect(one.reason).toMatchObject(refused(process.pid));
    await taken[0]?.();
    await (await lockFolder(path, options))();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is taken on a full disk too, keeps others out, and is taken over when its holder is gone', async ({ skip }) => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      skip('a small disk can be mounted by root only');
    }
    try {
      await writeFile(join(folder, 'full'), Buffer.alloc(128 * 1024)).catch(() => undefined);
      const pid = await startHolder();
      expect((await lstat(path)).isSymbolicLink()).toBe(true);
      expect(await folderLockHolder(path)).toBe(pid);
      await expect(lockFolder(path, options)).rejects.toMatchObject(refused(pid));
      await killHolder();
      const release = await lockFolder(path, options);
      expect(await folderLockHolder(path)).toBe(process.pid);
      await release();
      expect(await readdir(folder)).toEqual(['full']);
    } finally {
      execFileSync('umount', ['--lazy', folder]);
    }
  });

  it('makes the folder with what is above it', async () => {
    await (await lockFolder(join(folder, 'a/b/lock'), options))();
    expect(await readdir(join(folder, 'a/b'))).toEqual([]);
  });

  it('is refused while another process keeps it, which is named, and taken over once that one was killed', async () => {
    const pid = await startHolder();
    expect(await folderLockHolder(path)).toBe(pid);
    await expect(lockFolder(path, options)).rejects.toMatchObject(refused(pid));
    await killHolder();
    expect(await folderLockHolder(path)).toBeUndefined();
    await (await lockFolder(path, options))();
  });

  it('waits for a holder that ends', async () => {
    await startHolder();
    const waiting = lockFolder(path, { ...options, waitMs: 60_000 });
    await killHolder();
    await (await waiting)();
  });

  it('waits no longer than it is told, and ends the wait with the signal', async () => {
    const unlock = await lockFolder(path, options);
    await expect(lockFolder(path, { ...options, waitMs: 150 })).rejects.toMatchObject(refused(process.pid));
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(lockFolder(path, { ...options, waitMs: 60_000, signal })).rejects.toThrow('stopped');
    expect(await readdir(folder)).toEqual(['lock']);
    await unlock();
  });

  it.each([
    ['another process with the pid of the holder', JSON.stringify({ pid: process.ppid, startedAt: 'boot/1' })],
    ['a file that a power failure cut', '{"pid": 1'],
    ['an empty file', ''],
  ])('does not take for a holder: %s', async (_what, content) => {
    await writeFile(path, content);
    expect(await folderLockHolder(path)).toBeUndefined();
    await (await lockFolder(path, options))();
  });
});
