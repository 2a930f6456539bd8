import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readIdentity, type StoredIdentity, writeIdentity } from './identity-folder.ts';

describe('the identity of a device', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identity-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const identity = { device: 'cam-1', serverUrl: 'https://server', caSha256: 'a'.repeat(64), joinedAt: '2026-01-01T00:00:00.000Z' };
  const stored: StoredIdentity = { identity, keyPem: 'key', certPem: 'cert', caPem: 'ca', packageCaPem: 'all' };

  it('is one file for its owner alone, so that key and certificate always belong together', async () => {
    expect(await readIdentity(folder)).toBeUndefined();
    await writeIdentity(folder, stored);
    expect(await readIdentity(folder)).toEqual(stored);
    expect(await readdir(folder)).toEqual(['identity.json']);
    expect((await stat(join(folder, 'identity.json'))).mode & 0o777).toBe(0o600);
  });

  it('is read from the separate files of before, and complains about one that is missing', async () => {
    await writeFile(join(folder, 'identity.json'), JSON.stringify({ formatVersion: 1, ...identity }));
    await writeFile(join(folder, 'key.pem'), 'key');
    await writeFile(join(folder, 'cert.pem'), 'cert');
    await expect(readIdentity(folder)).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining('ca.pem') });
    await writeFile(join(folder, 'ca.pem'), 'ca');
    expect(await readIdentity(folder)).toEqual({ identity, keyPem: 'key', certPem: 'cert', caPem: 'ca' });
  });
});
