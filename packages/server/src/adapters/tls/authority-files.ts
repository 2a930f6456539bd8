import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextFile, syncFolder, writeFileAtomic } from '@selvedge/runtime';
import { type Authority, fingerprintOf, privateKeyPem, readCertificate, readKeyAndCertificate } from './certificates.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';

const CURRENT = 'authority.pem';
const NEXT = 'authority-next.pem';
/** Certificates without keys. */
const RETIRED = 'retired.pem';
const HINT = 'Restore it from a backup. Without it, every device must join again.';

export interface Authorities {
  /** Of the server's own certificate and of package signatures; what join tokens name. */
  current: Authority;
  /** Takes over: devices learn of it, and their certificates are its already. Undefined while none does. */
  next: Authority | undefined;
  /** Those of before, the newest last: package signatures of theirs still hold. */
  retired: Authority['certificate'][];
}

export function authorityPem(certificate: Authority['certificate']): string {
  return `${certificate.toString('pem')}\n`;
}

/**
 * The files of the authorities. Which of them are there is all the state that a change of authorities has; each step is one
 * rename, so that a crash leaves the state of before or after it.
 */
export class AuthorityFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param make - makes the first authority. @throws AppError FILE_UNREADABLE (user) when a file is damaged. */
  async load(make: () => Promise<Authority>): Promise<Authorities> {
    const current = (await readKeyFile(this.#path(CURRENT), readKeyAndCertificate, HINT)) ?? (await this.#write(CURRENT, await make()));
    const next = await readKeyFile(this.#path(NEXT), readKeyAndCertificate, HINT);
    const pem = (await readTextFile(this.#path(RETIRED))) ?? '';
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const used = [current, next].flatMap((one) => (one === undefined ? [] : [fingerprintOf(one.certificate.rawData)]));
    const retired = blocks.map(readCertificate).filter((one) => !used.includes(fingerprintOf(one.rawData)));
    return { current, next, retired };
  }

  async saveNext(next: Authority): Promise<void> {
    await this.#write(NEXT, next);
  }

  /** The next one becomes the current one, whose key is gone then. */
  async promoteNext({ current, retired }: Authorities): Promise<void> {
    // Written first: a crash after it leaves the current one among the retired, where it is not looked at.
    await writeFileAtomic(this.#path(RETIRED), [...retired, current.certificate].map(authorityPem).join(''));
    await rename(this.#path(NEXT), this.#path(CURRENT));
    await syncFolder(this.#folder);
  }

  async #write(name: string, pair: Authority): Promise<Authority> {
    await writeKeyFile(this.#path(name), { key: `${await privateKeyPem(pair.keys)}\n`, certificate: authorityPem(pair.certificate) });
    return pair;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
