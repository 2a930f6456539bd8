import { randomBytes } from 'node:crypto';
import {
  AppError,
  type DeviceJoin,
  type DeviceTokenFacts,
  type deviceTokenRequestSchema,
  type deviceTokenSchema,
  formatJoinToken,
  type JoinResponse,
  type OfflineJoinAnswer,
  type OfflineJoinRequest,
} from '@selvedge/contract';
import { type Logger, sha256Hex } from '@selvedge/runtime';
import type * as z from 'zod';
import type { Join } from '../ports/join-store.ts';
import type { Store } from '../ports/store.ts';

export interface JoinDeskOptions {
  store: Store;
  /** sha256 of the authority that tokens carry. */
  caSha256: () => string;
  /** Whether another authority is taking over. */
  isChanging: () => boolean;
  /** Under which devices reach the device port, e.g. `https://10.0.0.1:7443`. */
  url: () => string;
  /** Makes a device. @throws AppError INPUT_INVALID, CONFLICT. */
  sign: (request: OfflineJoinRequest) => Promise<JoinResponse>;
  log: Logger;
  clock: () => Date;
}

const DEFAULT_TTL_S = 3600;
const ID_LENGTH = 12;

/** What operators do about joining: tokens, and devices that wait for approval. */
export class JoinDesk {
  readonly #options: JoinDeskOptions;

  constructor(options: JoinDeskOptions) {
    this.#options = options;
  }

  /** The secret is shown here once and stored as a digest. */
  async createToken(request: z.output<typeof deviceTokenRequestSchema>): Promise<z.output<typeof deviceTokenSchema>> {
    const { store, url, clock, caSha256 } = this.#options;
    const secret = randomBytes(24).toString('base64url');
    const { uses = 1, labels = {}, ttlS = DEFAULT_TTL_S, approve = false } = request;
    const now = clock();
    const expiresAt = new Date(now.getTime() + ttlS * 1000).toISOString();
    const named = { createdAt: now.toISOString(), expiresAt, uses, labels, needsApproval: approve, caSha256: caSha256() };
    await store.joins.saveToken({ secretSha256: sha256Hex(secret), ...named });
    const token = formatJoinToken({ secret, caSha256: named.caSha256, expiresAt });
    return { token, url: url(), expiresAt, uses, joinCommand: `selvedge agent join ${url()} --token ${token}` };
  }

  async listTokens(): Promise<DeviceTokenFacts[]> {
    const { store, clock, caSha256, isChanging } = this.#options;
    const tokens = await store.joins.listTokens(clock().toISOString());
    return tokens.map(({ secretSha256, createdAt, expiresAt, uses, usesLeft, labels, needsApproval, caSha256: named }) => ({
      id: secretSha256.slice(0, ID_LENGTH),
      createdAt: createdAt === '' ? null : createdAt,
      expiresAt,
      uses,
      usesLeft,
      labels,
      approve: needsApproval,
      lasting: !isChanging() && (named === '' || named === caSha256()),
    }));
  }

  /** @throws AppError NOT_FOUND. */
  async revokeToken(id: string): Promise<void> {
    const { store, clock, log } = this.#options;
    const tokens = await store.joins.listTokens(clock().toISOString());
    const token = tokens.find(({ secretSha256 }) => secretSha256.startsWith(id));
    if (token === undefined || !(await store.joins.deleteToken(token.secretSha256))) {
      throw new AppError('NOT_FOUND', {
        message: `There is no join token "${id}".`,
        hint: '"selvedge device token list" shows all tokens.',
      });
    }
    log.info('join token revoked', { id });
  }

  /** The answer to a request that came in a file. @throws AppError INPUT_INVALID, CONFLICT. */
  async signRequest(request: OfflineJoinRequest): Promise<OfflineJoinAnswer> {
    const { sign, url, caSha256, clock } = this.#options;
    const answer = await sign(request);
    const facts = { serverUrl: url(), authoritySha256: caSha256(), signedAt: clock().toISOString() };
    return { type: 'selvedge-join-answer', ...answer, ...facts };
  }

  /** Devices that wait, and those that were approved and have not come for their certificate. */
  async listJoins(): Promise<DeviceJoin[]> {
    const { store, clock } = this.#options;
    const found: DeviceJoin[] = [];
    for (const join of await store.joins.listUndone(clock().toISOString())) {
      const shown = shownJoin(join);
      if (shown === undefined) continue;
      if (join.state === 'waiting' || (await store.get('Device', shown.name)) === undefined) found.push(shown);
    }
    return found;
  }

  /** @throws AppError NOT_FOUND when none of this name waits. */
  async decide(name: string, state: 'approved' | 'rejected'): Promise<DeviceJoin> {
    const { store, clock, log } = this.#options;
    const decided = await store.joins.decide(name, state, clock().toISOString());
    const shown = decided === undefined ? undefined : shownJoin(decided);
    if (shown === undefined) {
      const hint = '"selvedge device pending" shows who waits.';
      throw new AppError('NOT_FOUND', { message: `No device "${name}" waits for approval.`, hint });
    }
    log.info(`join ${state}`, { device: name, key: shown.keySha256 });
    return shown;
  }
}

function shownJoin({ device, state, keySha256, address, labels, requestedAt, expiresAt }: Join): DeviceJoin | undefined {
  if (device === null) return undefined;
  return { name: device, state: state === 'waiting' ? 'waiting' : 'approved', keySha256, address, labels, requestedAt, expiresAt };
}
