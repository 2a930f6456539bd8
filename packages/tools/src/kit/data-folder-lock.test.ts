import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder } from './data-folder-lock.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('lockDataFolder', () => {
  it('can be taken again after it was given free', async () => {
    const unlock = await lockDataFolder(folder);
    await unlock();
    await (await lockDataFolder(folder))();
  });

  it('is refused while another process keeps it, and taken over when that one is dead', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    await writeFile(join(folder, 'lock'), `${child.pid} ${started}\n`);
    await expect(lockDataFolder(folder, undefined, 50)).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await lockDataFolder(folder))();
  });

  it('does not mistake another process with the same pid for the owner', async () => {
    await writeFile(join(folder, 'lock'), `${process.ppid} 1\n`);
    await (await lockDataFolder(folder))();
  });
});
