import 'reflect-metadata'; // before the library, which needs it while it loads
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

/** A new EC P-256 private key, PKCS#8 PEM. */
export function makeDeviceKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * A PKCS#10 request signed with the key. The server decides about every field of the certificate, so the subject is only
 * what a person sees in it.
 *
 * The X.509 library is imported here and nowhere else, and only `join` and `renew` import this file, so that an agent that
 * runs never holds it.
 */
export async function makeCertificateRequest(keyPem: string, commonName: string): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const privateDer = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  const publicDer = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  const { subtle } = webcrypto;
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ CN: [commonName] }],
      keys: {
        privateKey: await subtle.importKey('pkcs8', privateDer, algorithm, false, ['sign']),
        publicKey: await subtle.importKey('spki', publicDer, algorithm, true, ['verify']),
      },
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    },
    webcrypto,
  );
  return request.toString('pem');
}
