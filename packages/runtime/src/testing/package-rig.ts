import 'reflect-metadata';
import { createHash, KeyObject, webcrypto } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import * as x509 from '@peculiar/x509';
import type { NativeManifest, Provenance } from '@selvedge/contract';
import { pack } from 'tar-stream';
import { compressSmall } from '../package/compress.ts';
import { type PackageSigner, sealedArchive, sealHead } from '../package/sealing.ts';

export interface TestAuthority {
  ca: string;
  signer: PackageSigner;
}

const DAYS = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') };
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** An authority of its own with a signer. `usage` other than code signing makes one that must not be trusted. */
export async function testAuthority(usage: x509.ExtendedKeyUsage = x509.ExtendedKeyUsage.codeSigning): Promise<TestAuthority> {
  const { subtle } = webcrypto;
  const caKeys = await subtle.generateKey(EC, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    ...DAYS,
    signingAlgorithm: EC,
    keys: caKeys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  });
  const keys = (await subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=selvedge package signer',
    issuer: authority.subject,
    ...DAYS,
    signingAlgorithm: EC,
    signingKey: caKeys.privateKey,
    publicKey: keys.publicKey,
    extensions: [new x509.BasicConstraintsExtension(false, undefined, true), new x509.ExtendedKeyUsageExtension([usage])],
  });
  const privateKey = KeyObject.from(keys.privateKey);
  return { ca: `${authority.toString('pem')}\n`, signer: { privateKey, certificatePem: `${certificate.toString('pem')}\n` } };
}

export interface TestFile {
  path: string;
  content: Buffer;
  executable?: boolean;
}

export const TEST_FILES: readonly TestFile[] = [
  { path: 'model.bin', content: Buffer.alloc(5000, 7) },
  { path: 'run', content: Buffer.from('#!/bin/sh\necho hello\n'), executable: true },
  { path: 'sbom.json', content: Buffer.from('{}') },
];

/** A manifest of these files, which must hold `run`, `model.bin` and `sbom.json`. */
export function testManifest(files: readonly TestFile[] = TEST_FILES, change: Partial<NativeManifest> = {}): NativeManifest {
  return {
    formatVersion: 1,
    runtime: 'native',
    model: 'digits',
    version: '1',
    target: 'linux-amd64',
    engine: 'xnnpack',
    precision: 'fp32',
    modelSha256: 'a'.repeat(64),
    entrypoint: 'run',
    modelFile: 'model.bin',
    goldenFile: null,
    sbomFile: 'sbom.json',
    inputs: [{ name: 'x', dataType: 'float32', shape: [null, 1, 28, 28] }],
    outputs: [{ name: 'y', dataType: 'float32', shape: [null, 10] }],
    labels: ['a', 'b'],
    preproc: { pipeline: [] },
    postproc: { pipeline: [] },
    dctScaling: true,
    benchmark: { parameters: 10, macs: 100, trained: {}, built: {} },
    files: files.map(({ path, content, executable = false }) => ({
      path,
      sha256: createHash('sha256').update(content).digest('hex'),
      sizeBytes: content.length,
      executable,
    })),
    ...change,
  };
}

export const TEST_PROVENANCE: Provenance = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'manifest.json', digest: { sha256: 'b'.repeat(64) } }],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: {
      buildType: 'https://selvedge.dev/build/native/v1',
      externalParameters: {},
      internalParameters: {},
      resolvedDependencies: [],
    },
    runDetails: { builder: { id: 'test' } },
  },
};

export interface TarFile {
  name: string;
  content: Buffer;
  mode?: number;
  type?: 'file' | 'symlink' | 'directory';
}

/** files.tar.zst as the build tool leaves it: a frame with the entries, and one with the end of the tar. */
export async function testFrames(files: readonly TarFile[]): Promise<Buffer> {
  const tar = pack();
  for (const { name, content, mode = 0o644, type = 'file' } of files)
    tar.entry(
      { name, mode, mtime: new Date(0), uid: 0, gid: 0, type, ...(type === 'symlink' ? { linkname: '/etc/passwd' } : {}) },
      type === 'file' ? content : '',
    );
  tar.finalize();
  const bytes = await buffer(tar);
  const end = bytes.length - 1024;
  return Buffer.concat([await compressSmall(bytes.subarray(0, end)), await compressSmall(bytes.subarray(end))]);
}

/** A whole signed archive. `tarred` replaces what is really in it, to make one that lies. */
export async function testArchive(
  signer: PackageSigner,
  options: { files?: readonly TestFile[]; manifest?: Partial<NativeManifest>; tarred?: readonly TarFile[] } = {},
): Promise<Buffer> {
  const files = options.files ?? TEST_FILES;
  const head = await sealHead(testManifest(files, options.manifest), TEST_PROVENANCE, signer);
  const tarred =
    options.tarred ?? files.map(({ path, content, executable }) => ({ name: path, content, mode: executable ? 0o755 : 0o644 }));
  return buffer(Readable.from(sealedArchive(head, Readable.from([await testFrames(tarred)]), signer)));
}
