import { type webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tls from 'node:tls';
import { SERVER_TLS_NAME } from '@selvedge/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeRequest } from '../../testing/device-client.ts';
import { CertificateAuthority } from './certificate-authority.ts';

const DAY_MS = 86_400_000;

async function sign(authority: CertificateAuthority, csrPem: string, device: string) {
  return (await authority.readRequest(csrPem)).sign(device);
}

describe('CertificateAuthority', () => {
  let folder: string;
  let now: Date;
  const start = async () => {
    const authority = new CertificateAuthority({ folder, clock: () => now });
    await authority.start();
    return authority;
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ca-'));
    now = new Date();
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('stays the same over restarts, in a file for its owner alone', async () => {
    const first = await start();
    const second = await start();
    expect(second.caPem).toBe(first.caPem);
    expect(second.caSha256).toBe(new X509Certificate(first.caPem).fingerprint256.replaceAll(':', '').toLowerCase());
    expect((await stat(join(folder, 'authority.pem'))).mode & 0o777).toBe(0o600);
  });

  it('says which file is damaged instead of making a new authority', async () => {
    await writeFile(join(folder, 'authority.pem'), 'damaged');
    await expect(start()).rejects.toMatchObject({ code: 'FILE_UNREADABLE', message: expect.stringContaining('authority.pem') });
  });

  it('makes mutual TLS possible under the fixed name, loopback and what is advertised', async () => {
    const authority = await start();
    const server = await authority.serverCredentials(['edge.example.com', '10.1.2.3', '::1']);
    const { csrPem, keyPem } = await makeRequest();
    const client = await sign(authority, csrPem, 'cam-1.site-a');
    const listener = tls.createServer({ ...server, ca: authority.caPem, requestCert: true, rejectUnauthorized: true });
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    const { port } = listener.address() as AddressInfo;
    for (const servername of [SERVER_TLS_NAME, 'localhost', 'edge.example.com']) {
      const accepted = once(listener, 'secureConnection') as Promise<[tls.TLSSocket]>;
      const socket = tls.connect({ port, host: '127.0.0.1', servername, ca: authority.caPem, key: keyPem, cert: client.pem });
      const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
      expect(socket.authorized).toBe(true);
      expect(peer.getPeerCertificate().subject.CN).toBe('cam-1.site-a');
      expect(peer.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase()).toBe(client.fingerprint256);
      socket.destroy();
    }
    listener.close();
    const leaf = new X509Certificate(server.cert);
    for (const address of ['127.0.0.1', '10.1.2.3', '::1']) expect(leaf.checkIP(address)).toBe(address);
  });

  it('keeps the server certificate until 30 days before it expires or the names differ', async () => {
    const authority = await start();
    const first = await authority.serverCredentials(['a.example']);
    expect(await authority.serverCredentials(['a.example'])).toEqual(first);
    const renamed = await authority.serverCredentials(['b.example']);
    expect(renamed.cert).not.toBe(first.cert);
    now = new Date(now.getTime() + (397 - 29) * DAY_MS);
    expect((await authority.serverCredentials(['b.example'])).cert).not.toBe(renamed.cert);
  });

  it('signs for 90 days, for clients only, under the name that the server chose', async () => {
    const authority = await start();
    const { csrPem } = await makeRequest('CN=somebody-else');
    const issued = await sign(authority, csrPem, 'cam-1');
    const certificate = new X509Certificate(issued.pem);
    expect(certificate.subject).toBe('CN=cam-1');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.ca).toBe(false);
    expect(Date.parse(issued.notAfter)).toBeCloseTo(now.getTime() + 90 * DAY_MS, -4);
  });

  it('refuses a request that does not prove possession of its key', async () => {
    const authority = await start();
    const { csrPem } = await makeRequest();
    const der = Buffer.from(csrPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    await expect(sign(authority, forged, 'cam-1')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(sign(authority, 'nonsense', 'cam-1')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(sign(authority, '', 'cam-1')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('accepts EC P-256, P-384 and RSA 2048, and refuses weaker or other keys', async () => {
    const authority = await start();
    const rsa = (modulusLength: number) => ({
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength,
      publicExponent: new Uint8Array([1, 0, 1]),
    });
    const request = async (algorithm: Parameters<typeof webcrypto.subtle.generateKey>[0]) => (await makeRequest('CN=x', algorithm)).csrPem;
    await expect(sign(authority, await request({ name: 'ECDSA', namedCurve: 'P-384' } as never), 'd')).resolves.toBeDefined();
    await expect(sign(authority, await request(rsa(2048) as never), 'd')).resolves.toBeDefined();
    await expect(sign(authority, await request(rsa(1024) as never), 'd')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});
