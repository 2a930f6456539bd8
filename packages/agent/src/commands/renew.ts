import { join } from 'node:path';
import { AppError, type DeviceTrust, deviceTrustSchema, joinResponseSchema } from '@selvedge/contract';
import { askStanding, getJson, isIssuedBy, postJson } from '@selvedge/device-link';
import { makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { lockFolder } from '@selvedge/runtime';
import { accessOf, readIdentity, type StoredIdentity, writeIdentity } from '../adapters/disk/identity-folder.ts';

/** A renewal that another process is at takes no longer. */
const LOCK_WAIT_MS = 60_000;

/**
 * Fetches a certificate for a new key. A command of its own, which `run` starts as a short-lived process: so the long-lived
 * one never loads the X.509 library.
 *
 * Key and certificate are replaced together, in one file. Until the server has seen the new certificate in use it takes the
 * old one as well; so a kill at any moment leaves one with which the device is known: before the file is replaced the old
 * one, afterwards the new one. Two renewals at once would each make the other's certificate worthless, hence the lock.
 *
 * @param mode - `refresh`: asks first which authorities are trusted now, and renews only a certificate that is not of the one
 *   that issues them.
 * @throws AppError CONFLICT (user) when the folder has not joined; what the server answers, e.g. DEVICE_REVOKED.
 */
export async function renewIdentity(dir: string, mode: 'renew' | 'refresh', signal?: AbortSignal): Promise<void> {
  const unlock = await lockFolder(join(dir, 'renewal.lock'), {
    waitMs: LOCK_WAIT_MS,
    ...(signal === undefined ? {} : { signal }),
    refusal: (pid) => ({ message: `Another renewal (process ${pid ?? 'unknown'}) is under way in ${dir}.` }),
  });
  try {
    const stored = await readIdentity(dir);
    if (stored === undefined) throw new AppError('CONFLICT', { message: `${dir} has not joined a server.` });
    if (mode === 'refresh') await refresh(dir, stored, signal);
    else await renew(dir, stored, signal);
  } finally {
    await unlock();
  }
}

async function refresh(dir: string, stored: StoredIdentity, signal?: AbortSignal): Promise<void> {
  const answer = deviceTrustSchema.safeParse(await getJson(accessOf(stored), '/device/v1/trust', signal));
  if (!answer.success) throw notAnAnswer();
  const trusting = withTrust(stored, answer.data);
  await writeIdentity(dir, trusting);
  if (!isIssuedBy(trusting.certPem, trusting.caPem, answer.data.issuerSha256)) await renew(dir, trusting, signal);
}

async function renew(dir: string, stored: StoredIdentity, signal?: AbortSignal): Promise<void> {
  const keyPem = makeDeviceKey();
  const csrPem = await makeCertificateRequest(keyPem, stored.identity.device);
  const answer = joinResponseSchema.safeParse(await postJson(accessOf(stored), '/device/v1/renew', { csrPem }, signal));
  if (!answer.success) throw notAnAnswer();
  const { certificatePem, trust } = answer.data;
  const renewed = withTrust({ ...stored, keyPem, certPem: certificatePem }, trust);
  await writeIdentity(dir, renewed);
  const refusal = await askStanding(accessOf(renewed), signal);
  if (refusal !== undefined) throw refusal;
}

/** What a server says that it has proved to be is taken over. */
export function withTrust(stored: StoredIdentity, trust: DeviceTrust | undefined): StoredIdentity {
  if (trust === undefined) return stored;
  const { broker: _, ...rest } = stored;
  const { caPem, packageCaPem, broker } = trust;
  return { ...rest, caPem, packageCaPem, ...(broker === undefined ? {} : { broker }) };
}

function notAnAnswer(): AppError {
  return new AppError('SERVER_UNREACHABLE', { message: 'The server answered something that this agent does not understand.' });
}
