import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { ExtendedKeyUsage } from '@peculiar/x509';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TEST_FILES, type TestAuthority, testArchive, testAuthority, type testFrames } from '../testing/package-rig.ts';
import { runCommand } from '../testing/run-command.ts';
import { verifyPackageArchive } from './verify-archive.ts';
import { decompressZstd } from './zstd-stream.ts';

const tarred = TEST_FILES.map(({ path, content }) => ({ name: path, content }));

describe('a package archive', () => {
  let folder: string;
  let authority: TestAuthority;
  let archive: Buffer;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'package-'));
    authority = await testAuthority();
    archive = await testArchive(authority.signer);
  });
  afterEach(() => rm(folder, { recursive: true }));

  const verify = (bytes: Uint8Array, extra: Partial<Parameters<typeof verifyPackageArchive>[0]> = {}) =>
    verifyPackageArchive({ source: Readable.from([bytes]), ca: authority.ca, ...extra });
  const refused = async (bytes: Uint8Array, code: string, text: RegExp = /./) => {
    await expect(verify(bytes, { destination: join(folder, 'out') })).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
    expect(await readdir(folder)).toEqual([]);
  };

  it('is verified, unpacked with its permissions, and described', async () => {
    const out = join(folder, 'out');
    const verified = await verify(archive, { destination: out });
    expect(verified.manifest.model).toBe('digits');
    expect(verified.archive.sizeBytes).toBe(archive.length);
    expect((await readdir(out)).sort()).toEqual(['manifest.json', 'model.bin', 'provenance.dsse.json', 'run', 'sbom.json']);
    expect((await stat(join(out, 'run'))).mode & 0o111).toBe(0o111);
    expect((await stat(join(out, 'model.bin'))).mode & 0o111).toBe(0);
    expect(await readFile(join(out, 'model.bin'))).toEqual(TEST_FILES[0]?.content);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('is verified in chunks of any size, and from a file', async () => {
    for (const size of [1, 7, 100]) {
      const chunks = Array.from({ length: Math.ceil(archive.length / size) }, (_, i) => archive.subarray(i * size, (i + 1) * size));
      await expect(verifyPackageArchive({ source: Readable.from(chunks), ca: authority.ca })).resolves.toBeDefined();
    }
    const path = join(folder, 'p.tar.zst');
    await writeFile(path, archive);
    await expect(verifyPackageArchive({ source: path, ca: authority.ca })).resolves.toBeDefined();
    await expect(verifyPackageArchive({ source: join(folder, 'none'), ca: authority.ca })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });

  it('is what zstd and tar understand', async () => {
    const path = join(folder, 'p.tar.zst');
    await writeFile(path, archive);
    await runCommand('zstd', ['-q', '-d', path, '-o', join(folder, 'p.tar')]);
    const listed = await runCommand('tar', ['-tf', join(folder, 'p.tar')]);
    expect(listed.trim().split('\n')).toEqual(['manifest.json', 'provenance.dsse.json', 'model.bin', 'run', 'sbom.json']);
  });

  it('has the same bytes when it is made again', async () => {
    expect(await testArchive(authority.signer)).toEqual(archive);
  });

  it('is refused with any byte changed', async () => {
    const positions = Array.from({ length: archive.length }, (_, index) => index);
    for (const position of positions) {
      const changed = Buffer.from(archive);
      changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8));
      await expect(verify(changed), `byte ${position}`).rejects.toMatchObject({
        code: expect.stringMatching(/SIGNATURE_INVALID|DIGEST_MISMATCH|ARCHIVE_UNSAFE/),
      });
    }
  }, 60_000);

  it('is refused cut off, extended, spliced or with any run of bytes replaced, and leaves nothing behind', async () => {
    const mutation = fc.oneof(
      fc.nat(archive.length - 1).map((at) => archive.subarray(0, at)),
      fc.uint8Array({ minLength: 1, maxLength: 200 }).map((extra) => Buffer.concat([archive, extra])),
      fc.tuple(fc.nat(archive.length - 1), fc.uint8Array({ minLength: 1, maxLength: 64 })).map(([at, bytes]) => {
        const copy = Buffer.from(archive);
        copy.set(bytes.subarray(0, copy.length - at), at);
        return copy;
      }),
    );
    await fc.assert(
      fc.asyncProperty(mutation, async (changed) => {
        fc.pre(!archive.equals(changed));
        await expect(verify(changed, { destination: join(folder, 'out') })).rejects.toMatchObject({
          code: expect.stringMatching(/SIGNATURE_INVALID|DIGEST_MISMATCH|ARCHIVE_UNSAFE/),
        });
        expect(await readdir(folder)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it('is refused when another authority, or a certificate for another use, has signed it', async () => {
    await refused(await testArchive((await testAuthority()).signer), 'SIGNATURE_INVALID');
    const device = await testAuthority(ExtendedKeyUsage.clientAuth);
    await expect(verify(await testArchive(device.signer), { ca: device.ca })).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('is taken when one of several authorities vouches for its signer', async () => {
    const other = await testAuthority();
    await expect(verify(archive, { ca: `${other.ca}\n${authority.ca}` })).resolves.toBeDefined();
    await expect(verify(archive, { ca: other.ca })).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('is refused when its digests are not the expected ones', async () => {
    const { archive: seen, manifestSha256 } = await verify(archive);
    await expect(verify(archive, { expected: { archiveSha256: seen.sha256, manifestSha256 } })).resolves.toBeDefined();
    for (const expected of [{ archiveSha256: 'a'.repeat(64) }, { manifestSha256: 'a'.repeat(64) }])
      await expect(verify(archive, { expected })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('is refused when its files are not those of the manifest', async () => {
    const lie = (files: Parameters<typeof testFrames>[0]) => testArchive(authority.signer, { tarred: files });
    const [first, ...others] = tarred;
    if (first === undefined) throw new Error('no files');
    await refused(await lie(others), 'ARCHIVE_UNSAFE', /"model.bin" of the manifest is missing/);
    await refused(await lie([...tarred, { name: 'extra', content: Buffer.from('x') }]), 'ARCHIVE_UNSAFE', /"extra"/);
    await refused(await lie([...tarred, first]), 'ARCHIVE_UNSAFE', /"model.bin" is not in the manifest, or is there twice/);
    await refused(await lie([{ ...first, content: Buffer.alloc(5000, 8) }, ...others]), 'DIGEST_MISMATCH', /model.bin/);
    await refused(await lie([{ ...first, content: Buffer.alloc(4999, 7) }, ...others]), 'DIGEST_MISMATCH', /4999/);
    await refused(await lie([{ ...first, type: 'symlink' }, ...others]), 'ARCHIVE_UNSAFE', /not a plain file/);
    await refused(await lie([{ ...first, name: '../model.bin' }, ...others]), 'ARCHIVE_UNSAFE', /\.\.\/model.bin/);
  });

  it('is refused when it unpacks to much more than its manifest says', async () => {
    const huge = { name: 'zeros', content: Buffer.alloc(64 * 1024 * 1024) };
    await refused(await testArchive(authority.signer, { tarred: [...tarred, huge] }), 'ARCHIVE_UNSAFE');
  });

  it('is not unpacked over something that is there', async () => {
    await writeFile(join(folder, 'mine'), 'kept');
    await expect(verify(archive, { destination: folder })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await readFile(join(folder, 'mine'), 'utf8')).toBe('kept');
  });

  it('is refused when it is no archive at all', async () => {
    await refused(Buffer.alloc(0), 'SIGNATURE_INVALID');
    await refused(randomBytes(5000), 'SIGNATURE_INVALID');
  });

  it('is not decompressed when a frame asks for a huge window', async () => {
    const greedy = Buffer.from(`${'28b52ffd'}c0${'ff'.repeat(8)}00`.padEnd(400, '0'), 'hex');
    await refused(greedy, 'SIGNATURE_INVALID');
    const unpacking = buffer(Readable.from(decompressZstd(Readable.from([greedy]))));
    await expect(unpacking).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE', message: expect.stringMatching(/window/) });
  });

  it('stays verifiable with files larger than a window', async () => {
    const files = [{ path: 'model.bin', content: randomBytes(9 * 1024 * 1024) }, ...TEST_FILES.slice(1)];
    const large = await testArchive(authority.signer, { files });
    const out = join(folder, 'out');
    await verify(large, { destination: out });
    expect((await readFile(join(out, 'model.bin'))).equals(files[0]?.content ?? Buffer.alloc(0))).toBe(true);
  });
});
