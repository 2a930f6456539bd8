import 'reflect-metadata';
import { createPublicKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import type { OfflineJoinAnswer, OfflineJoinRequest } from '@selvedge/contract';
import { sha256Of } from '@selvedge/device-link';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readIdentity } from '../adapters/disk/identity-folder.ts';
import { requestOffline, takeAnswer } from './join-offline.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** An authority that answers requests as a server does. */
async function makeAuthority() {
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    signingAlgorithm: EC,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const caPem = `${certificate.toString('pem')}\n`;
  const authoritySha256 = sha256Of(new X509Certificate(caPem));
  return {
    authoritySha256,
    answer: async (csrPem: string): Promise<OfflineJoinAnswer> => {
      const issued = await x509.X509CertificateGenerator.create({
        subject: 'CN=edge-1',
        issuer: certificate.subject,
        signingAlgorithm: EC,
        signingKey: keys.privateKey,
        publicKey: await new x509.Pkcs10CertificateRequest(csrPem).publicKey.export(),
      });
      return {
        type: 'selvedge-join-answer',
        device: 'edge-1',
        certificatePem: issued.toString('pem'),
        caPem,
        serverUrl: 'https://server:7443',
        authoritySha256,
        signedAt: '2026-11-01T00:00:00.000Z',
      };
    },
  };
}

describe('joining by files', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'selvedge-offline-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function request(): Promise<OfflineJoinRequest> {
    const file = join(dir, 'request');
    await requestOffline({ dir, file, name: 'edge-1', labels: { site: 'lab' } });
    return JSON.parse(await readFile(file, 'utf8')) as OfflineJoinRequest;
  }
  async function bring(answer: OfflineJoinAnswer, caSha256?: string) {
    const file = join(dir, 'answer');
    await writeFile(file, JSON.stringify(answer));
    return takeAnswer(dir, file, caSha256);
  }
  const keyOf = ({ csrPem }: OfflineJoinRequest) => new x509.Pkcs10CertificateRequest(csrPem).publicKey.toString('pem');

  it('makes a device of the folder, with the key that the request was for', async () => {
    const authority = await makeAuthority();
    const asked = await request();
    expect(asked).toMatchObject({ name: 'edge-1', labels: { site: 'lab' } });
    expect(keyOf(await request())).toBe(keyOf(asked)); // asked again, the answer to the first still fits
    expect(await bring(await authority.answer(asked.csrPem), authority.authoritySha256)).toMatchObject({ already: false });
    const stored = await readIdentity(dir);
    expect(stored?.identity).toMatchObject({ device: 'edge-1', caSha256: authority.authoritySha256, serverUrl: 'https://server:7443' });
    expect(createPublicKey(stored?.keyPem ?? '').equals(createPublicKey(keyOf(asked)))).toBe(true);
    expect(await bring(await authority.answer(asked.csrPem))).toMatchObject({ already: true });
    await expect(request()).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('refuses the answer of another server, for another key, or of an authority that did not issue it', async () => {
    const [authority, other] = [await makeAuthority(), await makeAuthority()];
    const { csrPem } = await request();
    await expect(bring(await other.answer(csrPem), authority.authoritySha256)).rejects.toMatchObject({ code: 'SERVER_IDENTITY_MISMATCH' });
    const forged = { ...(await other.answer(csrPem)), caPem: (await authority.answer(csrPem)).caPem };
    await expect(bring({ ...forged, authoritySha256: authority.authoritySha256 })).rejects.toMatchObject({
      code: 'SERVER_IDENTITY_MISMATCH',
    });
    const { publicKey, privateKey } = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
    const foreign = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=x',
      keys: { publicKey, privateKey },
      signingAlgorithm: EC,
    });
    await expect(bring(await authority.answer(foreign.toString('pem')))).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(takeAnswer(dir, join(dir, 'none'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(await readIdentity(dir)).toBeUndefined();
  });
});
