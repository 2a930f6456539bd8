import { createPublicKey, X509Certificate } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { AppError, MAX_OFFLINE_JOIN_BYTES, type OfflineJoinRequest, offlineJoinAnswerSchema } from '@selvedge/contract';
import { isIssuedBy } from '@selvedge/device-link';
import { makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { readJsonFile, systemErrorCode, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import { type Identity, readIdentity, writeIdentity } from '../adapters/disk/identity-folder.ts';
import { fingerprintOfKey } from './join.ts';
import { withTrust } from './renew.ts';
import { writeAskedFile } from './write-asked-file.ts';

/** The key that a request was made for, until its answer comes. */
const pendingSchema = z.object({ formatVersion: z.literal(1), keyPem: z.string() });
const PENDING_FILE = 'offline-join.json';

export interface OfflineRequestOptions {
  dir: string;
  /** Where the request goes. */
  file: string;
  name?: string;
  labels?: Record<string, string>;
  force?: boolean;
}

/**
 * Writes a request by which a device joins that no network leads to. The key is made here and stays; asked again, the request is
 * for the same key, so that no answer is lost.
 *
 * @returns sha256 of the device's key, as the server shows it.
 * @throws AppError CONFLICT (user) when the folder has joined already; FILE_UNREADABLE (user); DISK_FULL (operational).
 */
export async function requestOffline({ dir, file, name, labels, force }: OfflineRequestOptions): Promise<string> {
  const known = await readIdentity(dir);
  if (known !== undefined && force !== true)
    throw new AppError('CONFLICT', {
      message: `${dir} belongs to the device "${known.identity.device}" of ${known.identity.serverUrl}.`,
      hint: 'Use another folder, or --force to leave that server.',
    });
  const pending = await readJsonFile(join(dir, PENDING_FILE), pendingSchema);
  const keyPem = pending?.keyPem ?? makeDeviceKey();
  if (pending === undefined) await writeJsonAtomic(join(dir, PENDING_FILE), { formatVersion: 1, keyPem }, { mode: 0o600 });
  const request: OfflineJoinRequest = {
    type: 'selvedge-join-request',
    csrPem: await makeCertificateRequest(keyPem, name ?? hostname()),
    ...(name === undefined ? {} : { name }),
    ...(labels === undefined ? {} : { labels }),
  };
  await writeAskedFile(file, `${JSON.stringify(request, null, 2)}\n`);
  return fingerprintOfKey(keyPem);
}

/**
 * Takes the answer to a request of this folder: from then on it is a device of that server.
 *
 * @param caSha256 - the authority that the answer must be of; without it, whoever carried the file is trusted.
 * @throws AppError CONFLICT, FILE_UNREADABLE, INPUT_INVALID, SERVER_IDENTITY_MISMATCH (user); DISK_FULL (operational).
 */
export async function takeAnswer(dir: string, file: string, caSha256?: string): Promise<{ identity: Identity; already: boolean }> {
  const answer = await readAnswer(file);
  if (caSha256 !== undefined && caSha256.toLowerCase() !== answer.authoritySha256)
    throw new AppError('SERVER_IDENTITY_MISMATCH', {
      message: `The answer is of the authority ${answer.authoritySha256}, not of ${caSha256.toLowerCase()}.`,
    });
  const known = await readIdentity(dir);
  const pending = await readJsonFile(join(dir, PENDING_FILE), pendingSchema);
  if (
    known !== undefined &&
    pending === undefined &&
    known.identity.device === answer.device &&
    known.identity.caSha256 === answer.authoritySha256
  )
    return { identity: known.identity, already: true };
  const isOurs = pending !== undefined && new X509Certificate(answer.certificatePem).publicKey.equals(createPublicKey(pending.keyPem));
  if (pending === undefined || !isOurs)
    throw new AppError('CONFLICT', {
      message: `${file} is not the answer to a request of ${dir}.`,
      hint: 'Make a request with --offline, and bring the answer to that one.',
    });
  const authorities = [answer.caPem, answer.trust?.caPem ?? ''].join('\n');
  const issuers = [answer.authoritySha256, ...(answer.trust === undefined ? [] : [answer.trust.issuerSha256])];
  if (!issuers.some((issuer) => isIssuedBy(answer.certificatePem, authorities, issuer)))
    throw new AppError('SERVER_IDENTITY_MISMATCH', { message: 'The certificate in the answer is not of the authority that it names.' });
  const identity: Identity = {
    device: answer.device,
    serverUrl: answer.serverUrl,
    caSha256: answer.authoritySha256,
    joinedAt: answer.signedAt,
  };
  const stored = { identity, keyPem: pending.keyPem, certPem: answer.certificatePem, caPem: answer.caPem };
  await writeIdentity(dir, withTrust(stored, answer.trust));
  await rm(join(dir, PENDING_FILE), { force: true });
  return { identity, already: false };
}

async function readAnswer(file: string) {
  let size: number;
  try {
    size = (await stat(file)).size;
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${file} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  }
  const answer = size <= MAX_OFFLINE_JOIN_BYTES ? await readJsonFile(file, offlineJoinAnswerSchema) : undefined;
  if (answer !== undefined) return answer;
  throw new AppError('INPUT_INVALID', { message: `${file} is not an answer of "selvedge device sign-request".` });
}
