import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { verifyPackageArchive } from '@selvedge/runtime/package';
import { testArchive } from '@selvedge/runtime/package-rig';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CertificateAuthority } from './certificate-authority.ts';

describe('the signer of packages', () => {
  let folder: string;
  let now: Date;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'signer-'));
    now = new Date();
  });
  afterEach(() => rm(folder, { recursive: true }));

  const start = async () => {
    const authority = new CertificateAuthority({ folder, clock: () => now });
    await authority.start();
    return authority;
  };

  it('stays the same over restarts, in a file for its owner alone, with a certificate for signing', async () => {
    const first = await (await start()).packageSigner();
    const second = await (await start()).packageSigner();
    expect(second.certificatePem).toBe(first.certificatePem);
    expect((await stat(join(folder, 'package-signer.pem'))).mode & 0o777).toBe(0o600);
    const certificate = new X509Certificate(first.certificatePem);
    expect(certificate.subject).toBe('CN=selvedge package signer');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.3']);
    expect(certificate.publicKey.asymmetricKeyType).toBe('ed25519');
  });

  it('makes archives that verify with the authority, and the same bytes each time', async () => {
    const authority = await start();
    const archive = await testArchive(await authority.packageSigner());
    expect(await testArchive(await (await start()).packageSigner())).toEqual(archive);
    const verified = await verifyPackageArchive({ source: Readable.from([archive]), ca: authority.caPem });
    expect(verified.signer.subject).toBe('CN=selvedge package signer');
  });

  it('is renewed a year before it expires; what it signed stays valid', async () => {
    const authority = await start();
    const signer = await authority.packageSigner();
    const archive = await testArchive(signer);
    now = new Date(now.getTime() + 4.1 * 365 * 86_400_000);
    expect((await authority.packageSigner()).certificatePem).not.toBe(signer.certificatePem);
    await expect(verifyPackageArchive({ source: Readable.from([archive]), ca: authority.caPem })).resolves.toBeDefined();
  });

  it('says which file is damaged', async () => {
    const authority = await start();
    await writeFile(join(folder, 'package-signer.pem'), 'damaged');
    await expect(authority.packageSigner()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});
