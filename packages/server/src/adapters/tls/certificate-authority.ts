import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { PublicKey } from '@peculiar/x509';
import { AppError, type DeviceTrust, SERVER_TLS_NAME } from '@selvedge/contract';
import type { PackageSigner } from '@selvedge/runtime/package-sealing';
import type { AuthorityFacts, ClientRequest, IssuedCertificate, PresentedCertificate } from '../../domain/device-identity.ts';
import { type Authorities, AuthorityFiles, authorityPem } from './authority-files.ts';
import {
  type Authority,
  fingerprintOf,
  generateKeys,
  issueClientCertificate,
  issueOwnClientCertificate,
  issueServerCertificate,
  makeAuthority,
  makeRevocationList,
  privateKeyPem,
  readKeyAndCertificate,
  readRequestKey,
} from './certificates.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';
import { loadPackageSigner } from './package-signer.ts';

/** Extended key usage "client authentication". */
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
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
 * The server's own certificate authorities: the current one in `authority.pem`, while a change is under way the next one in
 * `authority-next.pem`, those of before in `retired.pem`; the device port's certificate in `server.pem`. Keys are in files of
 * mode 0600; all are written whole or not at all. Losing `authority.pem` means that every device must join again.
 *
 * While a change is under way the server shows a certificate of the current one, which every device trusts, and takes and
 * issues certificates of the next one.
 */
export class CertificateAuthority {
  readonly #folder: string;
  readonly #files: AuthorityFiles;
  readonly #clock: () => Date;
  readonly #broker: DeviceTrust['broker'];
  #authorities: Authorities | undefined;

  /** @param options.broker - where devices speak MQTT, when not on the device port. */
  constructor(options: { folder: string; clock: () => Date; broker?: DeviceTrust['broker'] }) {
    this.#folder = options.folder;
    this.#files = new AuthorityFiles(options.folder);
    this.#clock = options.clock;
    this.#broker = options.broker;
  }

  /** Reads the authorities, or makes one at the first start. @throws AppError FILE_UNREADABLE (user) when a file is damaged. */
  async start(): Promise<void> {
    this.#authorities = await this.#files.load(() => makeAuthority(this.#clock(), AUTHORITY_DAYS));
  }

  /** Begins a change: makes the next authority, unless there is one. */
  async beginChange(): Promise<void> {
    if (this.#started.next !== undefined) return;
    const next = await makeAuthority(this.#clock(), AUTHORITY_DAYS);
    await this.#files.saveNext(next);
    this.#authorities = { ...this.#started, next };
  }

  /** Ends a change: the next authority becomes the current one. The port needs its new credentials then. */
  async endChange(): Promise<void> {
    const authorities = this.#started;
    const { current, next, retired } = authorities;
    if (next === undefined) return;
    await this.#files.promoteNext(authorities);
    this.#authorities = { current: next, next: undefined, retired: [...retired, current.certificate] };
  }

  facts(): { current: AuthorityFacts; next: AuthorityFacts | null; retired: AuthorityFacts[] } {
    const { current, next, retired } = this.#started;
    return {
      current: factsOf(current.certificate),
      next: next === undefined ? null : factsOf(next.certificate),
      retired: retired.map(factsOf),
    };
  }

  /** The key that signs packages, with its certificate; see loadPackageSigner. */
  async packageSigner(): Promise<PackageSigner> {
    return await loadPackageSigner(join(this.#folder, 'package-signer.pem'), this.#started.current, this.#clock());
  }

  /** Of the server's own certificate. */
  get caPem(): string {
    return authorityPem(this.#started.current.certificate);
  }

  /** sha256 of the DER of the current one: what a join token carries. */
  get caSha256(): string {
    return fingerprintOf(this.#started.current.certificate.rawData);
  }

  /** Whom devices are to trust, and whose certificates of devices are taken. */
  get trust(): DeviceTrust {
    const { current, next, retired } = this.#started;
    const live = [current, ...(next === undefined ? [] : [next])].map(({ certificate }) => certificate);
    return {
      caPem: live.map(authorityPem).join(''),
      packageCaPem: [...live, ...retired].map(authorityPem).join(''),
      issuerSha256: fingerprintOf(this.#issuer.certificate.rawData),
      ...(this.#broker === undefined ? {} : { broker: this.#broker }),
    };
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
      pair = { keys, certificate: await issueServerCertificate(this.#started.current, keys, names, this.#clock(), SERVER_DAYS) };
      await writePair(path, pair);
    }
    return { key: await privateKeyPem(pair.keys), cert: `${pair.certificate.toString('pem')}\n${this.caPem}` };
  }

  /** A key and a client certificate for the server itself, of 90 days, made anew. */
  async clientCredentials(commonName: string): Promise<ServerCredentials> {
    const keys = await generateKeys();
    const certificate = await issueOwnClientCertificate(this.#started.current, keys, commonName, this.#clock(), CLIENT_DAYS);
    return { key: await privateKeyPem(keys), cert: `${certificate.toString('pem')}\n` };
  }

  /** One revocation list for each authority that devices may have certificates of, PEM. */
  async revocationLists(revoked: readonly { serial: string; issuerSha256?: string | undefined }[]): Promise<string> {
    const { current, next } = this.#started;
    const lists = [current, ...(next === undefined ? [] : [next])].map((authority) => {
      const issuer = fingerprintOf(authority.certificate.rawData);
      const serials = revoked.filter(({ issuerSha256 = issuer }) => issuerSha256 === issuer).map(({ serial }) => serial);
      return makeRevocationList(authority, serials, this.#clock(), SERVER_DAYS);
    });
    return (await Promise.all(lists)).join('');
  }

  /** What a device asks for when it joins or renews. @throws AppError INPUT_INVALID (user), see readRequestKey. */
  async readRequest(csrPem: string): Promise<ClientRequest> {
    const publicKey = await readRequestKey(csrPem);
    const keySha256 = fingerprintOf(publicKey.rawData);
    return { keySha256, sign: async (device) => ({ ...(await this.#signClient(publicKey, device)), keySha256 }) };
  }

  /** A client certificate of 90 days. */
  async #signClient(publicKey: PublicKey, device: string): Promise<Omit<IssuedCertificate, 'keySha256'>> {
    const issuer = this.#issuer;
    const certificate = await issueClientCertificate(issuer, publicKey, device, this.#clock(), CLIENT_DAYS);
    return {
      pem: `${certificate.toString('pem')}\n`,
      serial: certificate.serialNumber,
      fingerprint256: fingerprintOf(certificate.rawData),
      notAfter: certificate.notAfter.toISOString(),
      issuerSha256: fingerprintOf(issuer.certificate.rawData),
    };
  }

  /** What a certificate is worth that was not shown in a handshake but came in a file. */
  judge(certificate: X509Certificate): PresentedCertificate {
    const { current, next } = this.#started;
    const authorities = [current, ...(next === undefined ? [] : [next])].map(
      (one) => new X509Certificate(Buffer.from(one.certificate.rawData)),
    );
    const isOurs = authorities.some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
    const { CN } = certificate.toLegacyObject().subject;
    return {
      commonName: typeof CN === 'string' ? CN : '',
      fingerprint256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      trusted: isOurs && !certificate.ca && (certificate.keyUsage ?? []).includes(CLIENT_AUTHENTICATION),
      expired: Date.parse(certificate.validTo) < this.#clock().getTime(),
    };
  }

  #usable(pair: Authority, names: readonly string[]): boolean {
    const certificate = new X509Certificate(Buffer.from(pair.certificate.rawData));
    const issuer = new X509Certificate(Buffer.from(this.#started.current.certificate.rawData));
    return (
      certificate.verify(issuer.publicKey) &&
      pair.certificate.notAfter.getTime() - this.#clock().getTime() > RENEW_SERVER_BEFORE_MS &&
      names.every((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined)
    );
  }

  get #issuer(): Authority {
    return this.#started.next ?? this.#started.current;
  }

  get #started(): Authorities {
    if (this.#authorities === undefined)
      throw new AppError('INTERNAL', { message: 'The certificate authority was used before it was started.' });
    return this.#authorities;
  }
}

function factsOf(certificate: Authority['certificate']): AuthorityFacts {
  return { sha256: fingerprintOf(certificate.rawData), name: certificate.subject, notAfter: certificate.notAfter.toISOString() };
}

async function writePair(path: string, pair: Authority): Promise<void> {
  await writeKeyFile(path, { key: `${await privateKeyPem(pair.keys)}\n`, certificate: `${pair.certificate.toString('pem')}\n` });
}
