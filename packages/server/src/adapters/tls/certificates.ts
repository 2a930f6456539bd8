import 'reflect-metadata'; // the certificate library's container needs it before it is loaded itself
import { createHash, createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { AppError } from '@selvedge/contract';

/** EC P-256 throughout: small, fast on every device, and known to every TLS library. */
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** Devices without a battery-backed clock lag behind until they have synchronised. */
const CLOCK_SKEW_MS = 3_600_000;
const DAY_MS = 86_400_000;

export type KeyPair = webcrypto.CryptoKeyPair;

export interface Authority {
  keys: KeyPair;
  certificate: x509.X509Certificate;
}

export function generateKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

/** A positive serial number of 127 random bits, hexadecimal. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

export async function makeAuthority(now: Date, days: number): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=Selvedge CA ${randomBytes(4).toString('hex')}`,
    ...validity(now, days),
    signingAlgorithm: KEY_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { keys, certificate };
}

async function issue(
  authority: Authority,
  subject: { commonName: string; publicKey: x509.PublicKeyType; usage: x509.ExtendedKeyUsage; extensions: x509.Extension[] },
  period: { notBefore: Date; notAfter: Date },
): Promise<x509.X509Certificate> {
  return await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [subject.commonName] }],
    issuer: authority.certificate.subject,
    ...period,
    signingAlgorithm: KEY_ALGORITHM,
    signingKey: authority.keys.privateKey,
    publicKey: subject.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([subject.usage]),
      await x509.SubjectKeyIdentifierExtension.create(subject.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
      ...subject.extensions,
    ],
  });
}

/** @param names - host names and addresses, the first being the common name. */
export async function issueServerCertificate(
  authority: Authority,
  keys: KeyPair,
  names: readonly [string, ...string[]],
  now: Date,
  days: number,
): Promise<x509.X509Certificate> {
  const alternatives = names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value }));
  return await issue(
    authority,
    {
      commonName: names[0],
      publicKey: keys.publicKey,
      usage: x509.ExtendedKeyUsage.serverAuth,
      extensions: [new x509.SubjectAlternativeNameExtension(alternatives)],
    },
    validity(now, days),
  );
}

/** Signs for the key of a request that was read. Only the key is taken from it; the name is the server's decision. */
export async function issueClientCertificate(
  authority: Authority,
  publicKey: x509.PublicKey,
  commonName: string,
  now: Date,
  days: number,
): Promise<x509.X509Certificate> {
  return await issue(authority, { commonName, publicKey, usage: x509.ExtendedKeyUsage.clientAuth, extensions: [] }, validity(now, days));
}

/** A client certificate for a key that was made here. */
export async function issueOwnClientCertificate(
  authority: Authority,
  keys: KeyPair,
  commonName: string,
  now: Date,
  days: number,
): Promise<x509.X509Certificate> {
  const usage = x509.ExtendedKeyUsage.clientAuth;
  return await issue(authority, { commonName, publicKey: keys.publicKey, usage, extensions: [] }, validity(now, days));
}

/** A revocation list of the authority, PEM. @param serials - hexadecimal. */
export async function makeRevocationList(authority: Authority, serials: readonly string[], now: Date, days: number): Promise<string> {
  const { notBefore: thisUpdate, notAfter: nextUpdate } = validity(now, days);
  const list = await x509.X509CrlGenerator.create({
    issuer: authority.certificate.subject,
    thisUpdate,
    nextUpdate,
    signingAlgorithm: KEY_ALGORITHM,
    signingKey: authority.keys.privateKey,
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: thisUpdate })),
  });
  // The library's own label, CRL, is none that OpenSSL knows.
  return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
}

/** For a key that signs packages. */
export async function issueSignerCertificate(
  authority: Authority,
  publicKey: webcrypto.CryptoKey,
  commonName: string,
  now: Date,
  days: number,
): Promise<x509.X509Certificate> {
  return await issue(authority, { commonName, publicKey, usage: x509.ExtendedKeyUsage.codeSigning, extensions: [] }, validity(now, days));
}

/**
 * The public key of a PKCS#10 request.
 *
 * @throws AppError INPUT_INVALID (user) when it is no such request, its signature does not prove possession of the key, or the key is of
 * a kind that is not accepted.
 */
export async function readRequestKey(csrPem: string): Promise<x509.PublicKey> {
  const refuse = (message: string, cause?: unknown) =>
    new AppError('INPUT_INVALID', { message, issues: [{ path: 'csrPem', message }] }, { cause });
  let request: x509.Pkcs10CertificateRequest;
  let proven: boolean;
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
    assertAcceptedKey(Buffer.from(request.publicKey.rawData));
    proven = await request.verify();
  } catch (cause) {
    throw cause instanceof AppError ? cause : refuse('This is not a PKCS#10 certificate request.', cause);
  }
  if (!proven) throw refuse('The certificate request is not signed with its own key.');
  return request.publicKey;
}

/** EC P-256 or P-384, or RSA of 2048 to 4096 bits, for security chips that have nothing else. */
function assertAcceptedKey(spki: Buffer): void {
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  const accepted =
    key.asymmetricKeyType === 'ec'
      ? namedCurve === 'prime256v1' || namedCurve === 'secp384r1'
      : key.asymmetricKeyType === 'rsa' && modulusLength !== undefined && modulusLength >= 2048 && modulusLength <= 4096;
  if (accepted) return;
  const message = 'The key must be EC P-256, EC P-384 or RSA of 2048 to 4096 bits.';
  throw new AppError('INPUT_INVALID', { message, issues: [{ path: 'csrPem', message }] });
}

export async function privateKeyPem(keys: KeyPair): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
}

/** Reads a file of a private key followed by its certificate, and checks that they belong together. */
export async function readKeyAndCertificate(pem: string): Promise<Authority> {
  const key = createPrivateKey(pem);
  const certificate = new x509.X509Certificate(new X509Certificate(pem).raw);
  const publicKey = createPublicKey(key);
  if (!Buffer.from(certificate.publicKey.rawData).equals(publicKey.export({ format: 'der', type: 'spki' })))
    throw new Error('the certificate is not for this key');
  const { subtle } = webcrypto;
  const keys = {
    privateKey: await subtle.importKey('pkcs8', key.export({ format: 'der', type: 'pkcs8' }), KEY_ALGORITHM, true, ['sign']),
    publicKey: await subtle.importKey('spki', publicKey.export({ format: 'der', type: 'spki' }), KEY_ALGORITHM, true, ['verify']),
  };
  return { keys, certificate };
}

/** Reads one certificate, PEM. */
export function readCertificate(pem: string): x509.X509Certificate {
  return new x509.X509Certificate(pem);
}

/** sha256 of the DER, 64 hexadecimal digits. */
export function fingerprintOf(der: ArrayBuffer | Uint8Array): string {
  return createHash('sha256')
    .update(der instanceof Uint8Array ? der : new Uint8Array(der))
    .digest('hex');
}
