import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from './folder-lock.ts';

const MODULE = fileURLToPath(new URL('folder-lock.ts', import.meta.url));

describe('lockFolder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('lets one holder in at a time', async () => {
    const unlock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    unlock();
    (await lockFolder(folder))();
  });

  it('makes the folder with what is above it', async () => {
    (await lockFolder(join(folder, 'a/b/c')))();
  });

  it.each([
    ['a file of that name', 'file'],
    ['a file above it', 'file/data'],
  ])('says that a folder cannot be made: %s', async (_, path) => {
    await writeFile(join(folder, 'file'), '');
    await expect(lockFolder(join(folder, path))).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringContaining(path),
      details: { hint: expect.stringContaining('--data') },
    });
  });

  it('gives up where nothing can be made', { skip: process.platform !== 'linux' }, async () => {
    await expect(lockFolder('/proc/selvedge/data')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('is free again once a holder was killed', async () => {
    const script = `import { lockFolder } from ${JSON.stringify(MODULE)}; await lockFolder(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1000);`;
    const tsx = import.meta.resolve('tsx');
    const child = spawn(process.execPath, ['--import', tsx, '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED' });
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    (await lockFolder(folder))();
  });
});
