import { type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { AppError, type DsseEnvelope } from '@selvedge/contract';

/** Extended key usage "code signing". */
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
/** What the seal at the end of an archive is a signature of: the sha256, in hexadecimal, of all bytes before it. */
const SEAL_TYPE = 'application/vnd.selvedge.package-digest';

/** Who signs packages: an Ed25519 key with its certificate. */
export interface PackageSigner {
  privateKey: KeyObject;
  /** PEM, issued by the CA for code signing. */
  certificatePem: string;
}

/** An envelope whose payload is of this type. */
export type SignedEnvelope<T extends string> = Omit<DsseEnvelope, 'payloadType'> & { payloadType: T };

export function signatureInvalid(message: string, cause?: unknown, what = 'package'): AppError {
  const hint =
    what === 'package'
      ? 'Build the package again, or take it from the server anew; do not run this one.'
      : `Take a ${what} of the server that this device has joined; do not use this one.`;
  return new AppError('SIGNATURE_INVALID', { message, hint }, { cause });
}

/**
 * Pre-authentication encoding: what is signed binds the type as well as the payload.
 * @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 */
export function preAuthEncoding(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

/** The same payload and key give the same envelope: Ed25519 has no randomness. */
export function signEnvelope(payload: Uint8Array, signer: PackageSigner): DsseEnvelope;
export function signEnvelope<T extends string>(payload: Uint8Array, signer: PackageSigner, payloadType: T): SignedEnvelope<T>;
export function signEnvelope(
  payload: Uint8Array,
  signer: PackageSigner,
  payloadType = 'application/vnd.in-toto+json',
): SignedEnvelope<string> {
  const sig = sign(null, preAuthEncoding(payloadType, payload), signer.privateKey).toString('base64');
  const keyid = new X509Certificate(signer.certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
  return {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid, sig, certificate: signer.certificatePem }],
  };
}

export function signSeal(archiveSha256: string, signer: PackageSigner): Buffer {
  return sign(null, preAuthEncoding(SEAL_TYPE, Buffer.from(archiveSha256)), signer.privateKey);
}

export function isSealOf(archiveSha256: string, signature: Uint8Array, key: KeyObject): boolean {
  return verify(null, preAuthEncoding(SEAL_TYPE, Buffer.from(archiveSha256)), key, signature);
}

/** The certificates of a PEM text: several while one authority takes over from another. */
function readAuthorities(ca: string): X509Certificate[] {
  try {
    const blocks = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [ca];
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new AppError('INPUT_INVALID', { message: 'The certificate of the authority cannot be read; it must be PEM.' }, { cause });
  }
}

/**
 * The certificate of whoever made a signature, if one of the authorities says that it may sign packages.
 *
 * The times in the certificate are not looked at: a device without a battery starts in 1970, and a package must still run
 * after its signer's certificate was renewed. What takes a signer's power away is that its authority is no longer among those trusted.
 *
 * @param encoded - PEM or DER. @param ca - PEM, one certificate or several.
 * @throws AppError SIGNATURE_INVALID (user); INPUT_INVALID (user) when `ca` is not a certificate.
 */
export function trustedSigner(encoded: string | Buffer, ca: string, what = 'package'): X509Certificate {
  const authorities = readAuthorities(ca);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(encoded);
  } catch (cause) {
    throw signatureInvalid("The signer's certificate cannot be read.", cause, what);
  }
  if (!authorities.some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey)))
    throw signatureInvalid(`The ${what} is not signed by the server that this authority belongs to.`, undefined, what);
  if (certificate.ca || !(certificate.keyUsage ?? []).includes(CODE_SIGNING))
    throw signatureInvalid(`The signer's certificate is not for signing a ${what}.`, undefined, what);
  if (certificate.publicKey.asymmetricKeyType !== 'ed25519')
    throw signatureInvalid("The signer's key is not an Ed25519 key.", undefined, what);
  return certificate;
}

/**
 * Checks an envelope against the authority (PEM). Every signature in it must hold.
 *
 * @param what - what is signed, for messages.
 * @returns the payload's bytes and the certificate of the first signer.
 * @throws AppError SIGNATURE_INVALID (user); INPUT_INVALID (user) when `ca` is not a certificate.
 */
export function verifyEnvelope(
  envelope: SignedEnvelope<string>,
  ca: string,
  what = 'package',
): { payload: Buffer; signer: X509Certificate } {
  const payload = Buffer.from(envelope.payload, 'base64');
  const signed = preAuthEncoding(envelope.payloadType, payload);
  const signers = envelope.signatures.map(({ sig, certificate }) => {
    const signer = trustedSigner(certificate, ca, what);
    if (!verify(null, signed, signer.publicKey, Buffer.from(sig, 'base64')))
      throw signatureInvalid(`The signature does not belong to the content of the ${what}.`, undefined, what);
    return signer;
  });
  const [signer] = signers;
  if (signer === undefined) throw signatureInvalid(`The ${what} carries no signature.`, undefined, what);
  return { payload, signer };
}
