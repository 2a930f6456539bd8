import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, nameSchema, sha256Schema, timestampSchema } from '@selvedge/contract';
import { parseServerUrl, type ServerAccess } from '@selvedge/device-link';
import { readJsonFile, systemErrorCode, writeFileAtomic, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';

const identitySchema = z.object({
  formatVersion: z.literal(1),
  device: nameSchema,
  /** The device port as it was given to join, e.g. https://server:7443. */
  serverUrl: z.string(),
  caSha256: sha256Schema,
  joinedAt: timestampSchema,
});
export type Identity = z.infer<typeof identitySchema>;

export interface StoredIdentity {
  identity: Identity;
  keyPem: string;
  certPem: string;
  caPem: string;
}

const FILES = { identity: 'identity.json', key: 'key.pem', cert: 'cert.pem', ca: 'ca.pem' } as const;

/**
 * Who this device is. `identity.json` is written last: a folder without it has not joined, whatever else is in it.
 *
 * @returns undefined when the folder has not joined.
 * @throws AppError INPUT_INVALID, FILE_UNREADABLE (user) when a file of a joined folder is damaged or missing.
 */
export async function readIdentity(folder: string): Promise<StoredIdentity | undefined> {
  const identity = await readJsonFile(join(folder, FILES.identity), identitySchema);
  if (identity === undefined) return undefined;
  const read = async (name: string) => {
    try {
      return await readFile(join(folder, name), 'utf8');
    } catch (cause) {
      throw new AppError(
        'FILE_UNREADABLE',
        {
          message: `${join(folder, name)} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).`,
          hint: 'Join again with --force.',
        },
        { cause },
      );
    }
  };
  const [keyPem, certPem, caPem] = await Promise.all([read(FILES.key), read(FILES.cert), read(FILES.ca)]);
  return { identity, keyPem, certPem, caPem };
}

export async function writeIdentity(folder: string, stored: StoredIdentity): Promise<void> {
  await writeFileAtomic(join(folder, FILES.key), stored.keyPem, { mode: 0o600 });
  await writeFileAtomic(join(folder, FILES.cert), stored.certPem);
  await writeFileAtomic(join(folder, FILES.ca), stored.caPem);
  await writeJsonAtomic(join(folder, FILES.identity), stored.identity);
}

/** Replaces the certificate alone: a renewal keeps the key, so that no moment exists in which the two do not fit. */
export async function writeCertificate(folder: string, certPem: string): Promise<void> {
  await writeFileAtomic(join(folder, FILES.cert), certPem);
}

export function accessOf(stored: StoredIdentity): ServerAccess {
  return { ...parseServerUrl(stored.identity.serverUrl), caPem: stored.caPem, key: stored.keyPem, cert: stored.certPem };
}

/** When a third of the lifetime is left; Unix milliseconds. */
export function renewalDueMs(certPem: string): number {
  const certificate = new X509Certificate(certPem);
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return to - (to - from) / 3;
}
