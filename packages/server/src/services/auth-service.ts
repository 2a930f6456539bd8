import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { systemErrorCode, writeFileAtomic } from '@selvedge/runtime';
import type { CredentialStore } from '../ports/store.ts';

const LOGIN_CODE_MINUTES = 15;
const SESSION_DAYS = 7;
const ADMIN = 'admin';

/** Who makes a request, and by which credential. */
export interface Principal {
  name: string;
  via: 'token' | 'session' | 'tool';
}

export interface AuthServiceOptions {
  store: CredentialStore;
  clock: () => Date;
  /** Long-lived credential of the administrator. */
  adminToken: string;
  /** Credential of the tools; new with every start of the server. */
  toolToken: string;
}

const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const hexDigest = (secret: string): string => digest(secret).toString('hex');

/** 256 bits, URL-safe. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Reads the administrator's token from its file; makes it (mode 0600) at the first start.
 * @throws AppError FILE_UNREADABLE (user) when the file holds no usable token.
 */
export async function loadAdminToken(path: string): Promise<string> {
  try {
    const token = (await readFile(path, 'utf8')).trim();
    if (token.length >= 32) return token;
    throw new AppError('FILE_UNREADABLE', {
      message: `${path} holds no usable token.`,
      hint: 'Remove the file; the server makes a new one when it starts.',
    });
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  const token = `slv_${newSecret()}`;
  await writeFileAtomic(path, `${token}\n`, { mode: 0o600 });
  return token;
}

/** Says who a credential belongs to, and trades login codes and tokens for sessions. Secrets are stored as digests only. */
export class AuthService {
  readonly #options: AuthServiceOptions;
  readonly #admin: Buffer;
  readonly #tool: Buffer;

  constructor(options: AuthServiceOptions) {
    this.#options = options;
    this.#admin = digest(options.adminToken);
    this.#tool = digest(options.toolToken);
  }

  /** Digests are compared in constant time, so neither content nor length shows. */
  fromToken(token: string): Principal | undefined {
    const given = digest(token);
    if (timingSafeEqual(given, this.#admin)) return { name: ADMIN, via: 'token' };
    if (timingSafeEqual(given, this.#tool)) return { name: 'tools', via: 'tool' };
    return undefined;
  }

  async fromSession(id: string): Promise<Principal | undefined> {
    const session = await this.#options.store.findSession(hexDigest(id), this.#options.clock().toISOString());
    return session === undefined ? undefined : { name: session.user, via: 'session' };
  }

  /** A code that works once; it is what the URL printed at start holds. */
  async createLoginCode(user = ADMIN): Promise<{ code: string; path: string; expiresAt: string }> {
    const code = newSecret();
    const expiresAt = new Date(this.#options.clock().getTime() + LOGIN_CODE_MINUTES * 60_000).toISOString();
    await this.#options.store.saveLoginCode({ codeSha256: hexDigest(code), user, expiresAt });
    return { code, path: `/#/login?code=${code}`, expiresAt };
  }

  /**
   * Opens a session with a login code, which is used up, or with the administrator's token.
   * @throws AppError UNAUTHENTICATED (user).
   */
  async openSession(credential: { code: string } | { token: string }): Promise<{ id: string; maxAgeS: number }> {
    const now = this.#options.clock();
    let user: string | undefined;
    if ('code' in credential) user = (await this.#options.store.takeLoginCode(hexDigest(credential.code), now.toISOString()))?.user;
    else user = this.fromToken(credential.token)?.via === 'token' ? ADMIN : undefined;
    if (user === undefined) {
      throw new AppError('UNAUTHENTICATED', {
        message: 'The login code or token is unknown, used or expired.',
        hint: 'Make a new sign-in address with "selvedge open", or sign in with the token in the admin-token file of the data folder.',
      });
    }
    const id = newSecret();
    const maxAgeS = SESSION_DAYS * 86_400;
    const expiresAt = new Date(now.getTime() + maxAgeS * 1000).toISOString();
    await this.#options.store.saveSession({ idSha256: hexDigest(id), user, expiresAt });
    return { id, maxAgeS };
  }

  async closeSession(id: string): Promise<void> {
    await this.#options.store.deleteSession(hexDigest(id));
  }
}
