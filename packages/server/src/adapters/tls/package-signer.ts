import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import type { PackageSigner } from '@selvedge/runtime/package-sealing';
import { type Authority, issueSignerCertificate } from './certificates.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';

const COMMON_NAME = 'selvedge package signer';
const SIGNER_DAYS = 5 * 365;
const RENEW_BEFORE_MS = 365 * 86_400_000;
const DAMAGED_HINT = 'Remove it: a new key is made, and packages that are signed already stay valid.';

/**
 * The Ed25519 key that signs packages and its certificate, in one file of mode 0600. Made at the first use, and anew a year
 * before it expires or when it is not the authority's; packages signed before stay valid.
 *
 * @throws AppError FILE_UNREADABLE (user) when the file is damaged.
 */
export async function loadPackageSigner(path: string, authority: Authority, now: Date): Promise<PackageSigner> {
  const known = await readKeyFile(path, parseSigner, DAMAGED_HINT);
  if (known !== undefined && isUsable(known, authority, now)) return known;
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const key = await webcrypto.subtle.importKey('spki', spki, { name: 'Ed25519' }, true, ['verify']);
  const certificate = await issueSignerCertificate(authority, key, COMMON_NAME, now, SIGNER_DAYS);
  const signer = { privateKey, certificatePem: `${certificate.toString('pem')}\n` };
  await writeKeyFile(path, { key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), certificate: signer.certificatePem });
  return signer;
}

function isUsable({ certificatePem }: PackageSigner, authority: Authority, now: Date): boolean {
  const certificate = new X509Certificate(certificatePem);
  const issuer = new X509Certificate(Buffer.from(authority.certificate.rawData));
  return certificate.verify(issuer.publicKey) && Date.parse(certificate.validTo) - now.getTime() > RENEW_BEFORE_MS;
}

function parseSigner(pem: string): PackageSigner {
  const privateKey = createPrivateKey(pem);
  const certificatePem = pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----'));
  if (!new X509Certificate(certificatePem).checkPrivateKey(privateKey)) throw new Error('the certificate is not for this key');
  return { privateKey, certificatePem };
}
