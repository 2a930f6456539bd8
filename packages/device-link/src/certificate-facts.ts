import { X509Certificate } from 'node:crypto';

/** The certificates of a PEM text, in its order. */
export function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** sha256 of the DER, 64 hexadecimal digits. */
export function sha256Of(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** When half of the lifetime is over; Unix milliseconds. */
export function renewalDueMs(certPem: string): number {
  const certificate = new X509Certificate(certPem);
  const from = Date.parse(certificate.validFrom);
  return from + (Date.parse(certificate.validTo) - from) / 2;
}

/** Whether the certificate was signed by the authority that has this fingerprint, one of those in the PEM text. */
export function isIssuedBy(certPem: string, caPem: string, caSha256: string): boolean {
  const certificate = new X509Certificate(certPem);
  const authority = certificatesOf(caPem).find((candidate) => sha256Of(candidate) === caSha256);
  return authority !== undefined && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}
