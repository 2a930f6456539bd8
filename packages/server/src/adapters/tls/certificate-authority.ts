import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { AppError, SERVER_TLS_NAME } from '@selvedge/contract';
import type { PackageSigner } from '@selvedge/runtime/package-sealing';
import type { IssuedCertificate } from '../../domain/device-identity.ts';
import {
  type Authority,
  fingerprintOf,
  generateKeys,
  issueClientCertificate,
  issueServerCertificate,
  makeAuthority,
  privateKeyPem,
  readKeyAndCertificate,
} from './certificates.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';
import { loadPackageSigner } from './package-signer.ts';

const AUTHORITY_DAYS = 20 * 365;
/** Browsers and some TLS libraries refuse more. */
const SERVER_DAYS = 397;
const CLIENT_DAYS = 90;
const RENEW_SERVER_BEFORE_MS = 30 * 86_400_000;

export interface ServerCredentials {
  /** Private key, PEM. */
  key: string;
  /** Leaf and authority, PEM: a device that joins finds the authority in the handshake and compares its fingerprint. */
  cert: string;
}

/**
 * The server's own certificate authority: one key and certificate in `authority.pem`, the device port's in `server.pem`,
 * both mode 0600 and written whole or not at all. Losing `authority.pem` means that every device must join again.
 */
export class CertificateAuthority {
  readonly #folder: string;
  readonly #clock: () => Date;
  #authority: Authority | undefined;

  constructor(options: { folder: string; clock: () => Date }) {
    this.#folder = options.folder;
    this.#clock = options.clock;
  }

  /** Reads the authority, or makes it at the first start. @throws AppError FILE_UNREADABLE (user) when the file is damaged. */
  async start(): Promise<void> {
    const path = join(this.#folder, 'authority.pem');
    const known = await readKeyFile(path, readKeyAndCertificate, 'Restore it from a backup. Without it, every device must join again.');
    if (known !== undefined) {
      this.#authority = known;
      return;
    }
    const made = await makeAuthority(this.#clock(), AUTHORITY_DAYS);
    await writePair(path, made);
    this.#authority = made;
  }

  /** The key that signs packages, with its certificate; see loadPackageSigner. */
  async packageSigner(): Promise<PackageSigner> {
    return await loadPackageSigner(join(this.#folder, 'package-signer.pem'), this.#started, this.#clock());
  }

  get caPem(): string {
    return `${this.#started.certificate.toString('pem')}\n`;
  }

  /** sha256 of the authority's DER: what a join token carries. */
  get caSha256(): string {
    return fingerprintOf(this.#started.certificate.rawData);
  }

  /**
   * The device port's certificate for these names besides the fixed one, localhost and 127.0.0.1. The stored one is used
   * until 30 days before it expires or the names differ.
   */
  async serverCredentials(advertise: readonly string[]): Promise<ServerCredentials> {
    const names: [string, ...string[]] = [SERVER_TLS_NAME, ...new Set(['localhost', '127.0.0.1', ...advertise])];
    const path = join(this.#folder, 'server.pem');
    let pair = await readKeyFile(path, readKeyAndCertificate, 'Remove it: a new one is made.');
    if (pair === undefined || !this.#usable(pair, names)) {
      const keys = await generateKeys();
      pair = { keys, certificate: await issueServerCertificate(this.#started, keys, names, this.#clock(), SERVER_DAYS) };
      await writePair(path, pair);
    }
    return { key: await privateKeyPem(pair.keys), cert: `${pair.certificate.toString('pem')}\n${this.caPem}` };
  }

  /** A client certificate of 90 days. @throws AppError INPUT_INVALID (user), see issueClientCertificate. */
  async signClient(csrPem: string, device: string): Promise<IssuedCertificate> {
    const certificate = await issueClientCertificate(this.#started, csrPem, device, this.#clock(), CLIENT_DAYS);
    return {
      pem: `${certificate.toString('pem')}\n`,
      serial: certificate.serialNumber,
      fingerprint256: fingerprintOf(certificate.rawData),
      notAfter: certificate.notAfter.toISOString(),
    };
  }

  #usable(pair: Authority, names: readonly string[]): boolean {
    const certificate = new X509Certificate(Buffer.from(pair.certificate.rawData));
    const issuer = new X509Certificate(Buffer.from(this.#started.certificate.rawData));
    return (
      certificate.verify(issuer.publicKey) &&
      pair.certificate.notAfter.getTime() - this.#clock().getTime() > RENEW_SERVER_BEFORE_MS &&
      names.every((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined)
    );
  }

  get #started(): Authority {
    if (this.#authority === undefined)
      throw new AppError('INTERNAL', { message: 'The certificate authority was used before it was started.' });
    return this.#authority;
  }
}

async function writePair(path: string, pair: Authority): Promise<void> {
  await writeKeyFile(path, { key: `${await privateKeyPem(pair.keys)}\n`, certificate: `${pair.certificate.toString('pem')}\n` });
}
