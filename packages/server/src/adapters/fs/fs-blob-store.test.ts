import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeBlobStore } from '../../ports/blob-store.contract.ts';
import { FsBlobStore } from './fs-blob-store.ts';

async function countFiles(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true });
  const kinds = await Promise.all(entries.map(async (entry) => (await stat(join(folder, entry))).isFile()));
  return kinds.filter(Boolean).length;
}

describeBlobStore('FsBlobStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'blobs-'));
  const store = new FsBlobStore(folder);
  await store.start();
  return { store, countStored: () => countFiles(folder), dispose: () => rm(folder, { recursive: true }) };
});

/** Mounts a file system of 1 MiB; false where this user may not. */
function mountTiny(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('FsBlobStore', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blobs-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('sweeps what a crash left half-written', async () => {
    await mkdir(join(folder, 'blobs', 'incoming'), { recursive: true });
    await writeFile(join(folder, 'blobs', 'incoming', 'half'), 'half');
    await new FsBlobStore(folder).start();
    expect(await countFiles(folder)).toBe(0);
  });

  it('reports a full disk as DISK_FULL and leaves nothing', async ({ skip }) => {
    const small = join(folder, 'small');
    await mkdir(small);
    if (!mountTiny(small)) skip('a small file system can be mounted by root only');
    try {
      const store = new FsBlobStore(small);
      await store.start();
      await expect(store.put(Readable.from([randomBytes(3_000_000)]))).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(await countFiles(small)).toBe(0);
      await expect(store.put(Readable.from([randomBytes(100_000)]))).resolves.toMatchObject({ sizeBytes: 100_000 });
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('reports a file-size limit as DISK_FULL and leaves nothing', async () => {
    const here = dirname(fileURLToPath(import.meta.url));
    const program = `
      import { randomBytes } from 'node:crypto';
      import { Readable } from 'node:stream';
      import { FsBlobStore } from './fs-blob-store.ts';
      process.on('SIGXFSZ', () => undefined);
      const store = new FsBlobStore(process.argv[1]);
      await store.start();
      await store.put(Readable.from([randomBytes(3_000_000)])).then(() => console.log('stored'), (error) => console.log(error.code));
    `;
    const command = `ulimit -f 1024; exec "$0" --import tsx --input-type=module -e "$1" "$2"`;
    const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, program, folder], { cwd: here });
    expect(stdout.trim()).toBe('DISK_FULL');
    expect(await countFiles(folder)).toBe(0);
  });
});
