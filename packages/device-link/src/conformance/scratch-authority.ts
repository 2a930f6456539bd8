import 'reflect-metadata'; // before the library, which needs it while it loads
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  PemConverter,
  type PublicKey,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { SERVER_TLS_NAME } from '@selvedge/contract';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

/** When a certificate holds, in milliseconds from now. */
export interface Period {
  readonly fromMs: number;
  readonly untilMs: number;
}

export const USUAL: Period = { fromMs: -HOUR_MS, untilMs: 24 * HOUR_MS };

/** Key and chain of a listener, PEM. */
export interface ServerCredentials {
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority that lives as long as one examination. */
export class ScratchAuthority {
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #certificate: X509Certificate;

  private constructor(keys: webcrypto.CryptoKeyPair, certificate: X509Certificate) {
    this.#keys = keys;
    this.#certificate = certificate;
  }

  static async make(name: string): Promise<ScratchAuthority> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        name: `CN=${name}`,
        keys,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() - 48 * HOUR_MS),
        notAfter: new Date(Date.now() + 48 * HOUR_MS),
        extensions: [new BasicConstraintsExtension(true, undefined, true)],
      },
      webcrypto,
    );
    return new ScratchAuthority(keys, certificate);
  }

  get pem(): string {
    return this.#certificate.toString('pem');
  }

  get der(): Buffer {
    return Buffer.from(this.#certificate.rawData);
  }

  /** What a server shows that has a certificate of this authority. */
  async serverCredentials(dnsName = SERVER_TLS_NAME, period: Period = USUAL): Promise<ServerCredentials> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await this.#issue('CN=scratch server', keys.publicKey, period, dnsName);
    const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    return { key, cert: `${certificate}\n${this.pem}` };
  }

  /** A device's certificate, PEM. */
  deviceCertificate(device: string, publicKey: PublicKey, period: Period): Promise<string> {
    return this.#issue(`CN=${device}`, publicKey, period);
  }

  async #issue(
    subject: string,
    publicKey: PublicKey | webcrypto.CryptoKey,
    { fromMs, untilMs }: Period,
    dnsName?: string,
  ): Promise<string> {
    const certificate = await X509CertificateGenerator.create(
      {
        subject,
        issuer: this.#certificate.subject,
        publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() + fromMs),
        notAfter: new Date(Date.now() + untilMs),
        extensions: dnsName === undefined ? [] : [new SubjectAlternativeNameExtension([{ type: 'dns', value: dnsName }])],
      },
      webcrypto,
    );
    return certificate.toString('pem');
  }
}
