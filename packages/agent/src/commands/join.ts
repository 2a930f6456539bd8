import { createHash, createPublicKey } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AppError,
  type JoinRequest,
  type JoinResponse,
  joinResponseSchema,
  parseJoinToken,
  sha256Schema,
  toAppError,
} from '@selvedge/contract';
import { parseServerUrl, postJson, type ServerAccess } from '@selvedge/device-link';
import { findServerCa, makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { backoffDelayMs, readJsonFile, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import { type Identity, readIdentity, writeIdentity } from '../adapters/disk/identity-folder.ts';
import { withTrust } from './renew.ts';

export interface JoinOptions {
  /** Address of the device port, e.g. https://server:7443. */
  url: string;
  token: string;
  /** The agent's folder. */
  dir: string;
  /** Wished device name; the server picks one without it. */
  name?: string;
  labels?: Record<string, string>;
  /** Join although the folder belongs to a device already. */
  force?: boolean;
  signal?: AbortSignal;
  /** Called once when an operator has to approve. @param keySha256 - by which the operator knows this device. */
  onPending: (message: string, keySha256: string) => void;
}

export interface JoinOutcome {
  identity: Identity;
  /** The folder had joined this server before; nothing was done. */
  already: boolean;
  /** This machine's clock minus the server's, milliseconds; undefined when nothing was asked. */
  clockOffsetMs?: number;
}

/** A join that is under way: the same key is shown again, so that the server knows the request after a crash on either side. */
const pendingSchema = z.object({ formatVersion: z.literal(1), tokenSha256: sha256Schema, keyPem: z.string() });
const PENDING_FILE = 'join-request.json';
/** How often it is asked whether the join was approved. */
const POLL = { baseMs: 1500, maxMs: 15_000 };

/**
 * Makes this folder a device of the server. The private key is made here and never leaves; the token's secret is sent
 * only after the server has proved to own a certificate of the CA that the token names. Where an operator has to approve,
 * it waits; when it is interrupted, or the machine is, the same join goes on with the same request.
 *
 * @throws AppError USAGE, JOIN_TOKEN_INVALID, JOIN_REJECTED, SERVER_IDENTITY_MISMATCH, CONFLICT (user); SERVER_UNREACHABLE
 *   (operational); the signal's reason.
 */
export async function joinServer(options: JoinOptions): Promise<JoinOutcome> {
  const { dir, url } = options;
  const token = parseJoinToken(options.token);
  const { host, port } = parseServerUrl(url);
  if (options.force !== true) {
    const known = await readIdentity(dir);
    if (known?.identity.caSha256 === token.caSha256) return { identity: known.identity, already: true };
    if (known !== undefined) {
      throw new AppError('CONFLICT', {
        message: `${dir} belongs to the device "${known.identity.device}" of ${known.identity.serverUrl}.`,
        hint: 'Use another folder, or --force to leave that server.',
      });
    }
  }
  const caPem = await findServerCa(host, port, token.caSha256);
  const keyPem = await keyOfJoin(dir, options.token);
  const request: JoinRequest = {
    secret: token.secret,
    csrPem: await makeCertificateRequest(keyPem, options.name ?? hostname()),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.labels === undefined ? {} : { labels: options.labels }),
  };
  let serverMs = Date.now();
  const access = { host, port, caPem, onServerTime: (atMs: number) => (serverMs = atMs) };
  const answer = await askUntilDecided(access, request, () => fingerprintOfKey(keyPem), options);
  const joinedAt = new Date(serverMs).toISOString();
  const identity: Identity = { device: answer.device, serverUrl: url, caSha256: token.caSha256, joinedAt };
  // Without a word of the server about it, the authority that the token vouches for is kept, not the one that the answer names.
  await writeIdentity(dir, withTrust({ identity, keyPem, certPem: answer.certificatePem, caPem }, answer.trust));
  await rm(join(dir, PENDING_FILE), { force: true });
  return { identity, already: false, clockOffsetMs: Date.now() - serverMs };
}

/** The key of the join with this token: the one of an earlier try, else a new one that is on disk before anyone sees it. */
async function keyOfJoin(dir: string, token: string): Promise<string> {
  const path = join(dir, PENDING_FILE);
  const tokenSha256 = createHash('sha256').update(token.trim()).digest('hex');
  const pending = await readJsonFile(path, pendingSchema);
  if (pending?.tokenSha256 === tokenSha256) return pending.keyPem;
  const keyPem = makeDeviceKey();
  await writeJsonAtomic(path, { formatVersion: 1, tokenSha256, keyPem }, { mode: 0o600 });
  return keyPem;
}

/** Asks again while an operator has not decided, also while the server is away. */
async function askUntilDecided(
  access: ServerAccess,
  request: JoinRequest,
  keySha256: () => string,
  { url, signal, onPending }: JoinOptions,
): Promise<JoinResponse> {
  let isPending = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = joinResponseSchema.safeParse(await postJson(access, '/device/v1/join', request, signal));
      if (answer.success) return answer.data;
      throw new AppError('SERVER_UNREACHABLE', { message: `${url} answered something that is not a join answer.` });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'JOIN_PENDING' && !isPending) onPending(error.message, keySha256());
      isPending ||= error.code === 'JOIN_PENDING';
      const isWorthWaiting = error.code === 'JOIN_PENDING' || error.code === 'SERVER_UNREACHABLE' || error.code === 'RATE_LIMITED';
      if (!isPending || !isWorthWaiting) throw error;
    }
    await sleep(backoffDelayMs(attempt, POLL), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  }
}

/** sha256 of the public key (SPKI, DER), as the server shows it. */
export function fingerprintOfKey(keyPem: string): string {
  return createHash('sha256')
    .update(createPublicKey(keyPem).export({ type: 'spki', format: 'der' }))
    .digest('hex');
}
