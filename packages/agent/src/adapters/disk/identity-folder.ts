import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, nameSchema, sha256Schema, timestampSchema } from '@selvedge/contract';
import { parseServerUrl, type ServerAccess } from '@selvedge/device-link';
import { readJsonFile, systemErrorCode, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';

const facts = {
  device: nameSchema,
  /** The device port as it was given to join, e.g. https://server:7443. */
  serverUrl: z.string(),
  /** Of the join token. */
  caSha256: sha256Schema,
  joinedAt: timestampSchema,
};
const identitySchema = z.object(facts);
export type Identity = z.infer<typeof identitySchema>;

const brokerSchema = z.object({ host: z.string(), port: z.int() });

const storedSchema = z.discriminatedUnion('formatVersion', [
  /** Key, certificate and authority in files of their own. */
  z.object({ formatVersion: z.literal(1), ...facts }),
  z.object({
    formatVersion: z.literal(2),
    ...facts,
    keyPem: z.string(),
    certPem: z.string(),
    caPem: z.string(),
    packageCaPem: z.string().optional(),
    broker: brokerSchema.optional(),
  }),
]);

export interface StoredIdentity {
  identity: Identity;
  keyPem: string;
  certPem: string;
  /** Authorities of the server; several while one takes over from another. */
  caPem: string;
  /** Authorities whose package signatures hold, when they are others. */
  packageCaPem?: string;
  /** Where MQTT is spoken, when not on the device port. */
  broker?: z.infer<typeof brokerSchema>;
}

const FILE = 'identity.json';

/**
 * Who this device is.
 *
 * @returns undefined when the folder has not joined.
 * @throws AppError INPUT_INVALID, FILE_UNREADABLE (user) when a file of a joined folder is damaged or missing.
 */
export async function readIdentity(folder: string): Promise<StoredIdentity | undefined> {
  const stored = await readJsonFile(join(folder, FILE), storedSchema);
  if (stored === undefined) return undefined;
  const identity = identitySchema.parse(stored);
  if (stored.formatVersion === 1) return { identity, ...(await readSeparateFiles(folder)) };
  const { keyPem, certPem, caPem, packageCaPem, broker } = stored;
  const more = { ...(packageCaPem === undefined ? {} : { packageCaPem }), ...(broker === undefined ? {} : { broker }) };
  return { identity, keyPem, certPem, caPem, ...more };
}

async function readSeparateFiles(folder: string): Promise<Pick<StoredIdentity, 'keyPem' | 'certPem' | 'caPem'>> {
  const read = async (name: string) => {
    try {
      return await readFile(join(folder, name), 'utf8');
    } catch (cause) {
      const message = `${join(folder, name)} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).`;
      throw new AppError('FILE_UNREADABLE', { message, hint: 'Join again with --force.' }, { cause });
    }
  };
  const [keyPem, certPem, caPem] = await Promise.all([read('key.pem'), read('cert.pem'), read('ca.pem')]);
  return { keyPem, certPem, caPem };
}

/** Replaces all of it at once: at no moment is there a key with the certificate of another one. */
export async function writeIdentity(folder: string, stored: StoredIdentity): Promise<void> {
  const { identity, ...rest } = stored;
  await writeJsonAtomic(join(folder, FILE), { formatVersion: 2, ...identity, ...rest }, { mode: 0o600 });
}

/** Whose signatures on packages and golden sets hold: also those of authorities that the server itself no longer uses. */
export function packageAuthorities({ caPem, packageCaPem }: StoredIdentity): string {
  return packageCaPem ?? caPem;
}

/** How the broker is reached that the server has named, or the server itself. */
export function channelAccessOf(stored: StoredIdentity): ServerAccess {
  return stored.broker === undefined ? accessOf(stored) : { ...accessOf(stored), ...stored.broker, isBroker: true };
}

export function accessOf(stored: StoredIdentity): ServerAccess {
  return { ...parseServerUrl(stored.identity.serverUrl), caPem: stored.caPem, key: stored.keyPem, cert: stored.certPem };
}
