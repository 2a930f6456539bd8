import {
  AppError,
  type BundleDevice,
  type BundleStatement,
  desiredStateSchema,
  nameSchema,
  sha256Schema,
  takenNumbersSchema,
  timestampSchema,
} from '@selvedge/contract';
import * as z from 'zod';

/** What a bundle that was verified asks of this device; lies beside its content. */
export const bundleOrderSchema = z.object({
  formatVersion: z.literal(1),
  id: nameSchema,
  createdAt: timestampSchema,
  desired: desiredStateSchema,
  /** Records that the server has. */
  taken: z.array(takenNumbersSchema).max(16).optional(),
});
export type BundleOrder = z.infer<typeof bundleOrderSchema>;

/** What this device remembers of bundles. It belongs to one identity: one that joins anew begins anew. */
export const bundleMemorySchema = z.object({
  formatVersion: z.literal(1),
  /** Of the certificate's owner: the authority by which the device knows its server. */
  authoritySha256: sha256Schema,
  /** The latest time that the server has signed: it is later than that, whatever the clock says. */
  newestSignedAt: timestampSchema.nullable(),
  revokedBundles: z.array(nameSchema).max(10_000),
  /** The certificate that a bundle said is revoked. */
  revokedCertificate: sha256Schema.nullable(),
  last: z.object({ id: nameSchema, revision: z.int().min(0), appliedAt: timestampSchema }).nullable(),
  /** Of the last file of results. */
  resultsSequence: z.int().min(0),
});
export type BundleMemory = z.infer<typeof bundleMemorySchema>;

export function emptyMemory(authoritySha256: string): BundleMemory {
  return {
    formatVersion: 1,
    authoritySha256,
    newestSignedAt: null,
    revokedBundles: [],
    revokedCertificate: null,
    last: null,
    resultsSequence: 0,
  };
}

/** Who the device is, and what it knows, when a bundle comes. */
export interface BundleSituation {
  device: string;
  certificateSha256: string;
  memory: BundleMemory;
  /** This machine's clock, Unix milliseconds; may be wrong. */
  nowMs: number;
  joinedAt: string;
  /** Highest revision of a desired state that the device has taken. */
  knownRevision: number;
}

/** Whether the server has told this device by the bundle that it was removed. */
export function revokesDevice(statement: BundleStatement, { certificateSha256, memory }: BundleSituation): boolean {
  return memory.revokedCertificate === certificateSha256 || statement.revoked.certificates.includes(certificateSha256);
}

/**
 * What of a signed statement is for this device.
 *
 * @throws AppError DEVICE_REVOKED, BUNDLE_REVOKED, BUNDLE_OTHER_DEVICE, BUNDLE_EXPIRED, CONFLICT (user), each with what is the case.
 */
export function judgeBundle(statement: BundleStatement, situation: BundleSituation): BundleDevice {
  const { id, revoked } = statement;
  const { device, certificateSha256, memory, knownRevision } = situation;
  if (revokesDevice(statement, situation))
    throw new AppError('DEVICE_REVOKED', {
      message: `The server has removed this device ("${device}"); it takes no bundles any more.`,
      hint: 'What it serves it goes on serving. To use it again, join again.',
    });
  if (memory.revokedBundles.includes(id) || revoked.bundles.includes(id))
    throw new AppError('BUNDLE_REVOKED', { message: `Bundle "${id}" has been revoked, as a later one said.` });
  const own = statement.devices.find(({ name }) => name === device);
  if (own === undefined) {
    const names = statement.devices.slice(0, 5).map(({ name }) => name);
    const more = statement.devices.length > names.length ? ' and others' : '';
    throw new AppError('BUNDLE_OTHER_DEVICE', {
      message: `Bundle "${id}" is for ${names.join(', ')}${more}, and this is "${device}".`,
      hint: `Export one with: selvedge bundle export --for ${device} -o FILE`,
    });
  }
  if (!own.certificates.includes(certificateSha256))
    throw new AppError('BUNDLE_OTHER_DEVICE', {
      message: `Bundle "${id}" is for another device of the name "${device}", or for a certificate that this one no longer has.`,
      hint: `Export it again with: selvedge bundle export --for ${device} -o FILE`,
    });
  assertNotExpired(statement, situation);
  if (own.desired.revision < knownRevision)
    throw new AppError('CONFLICT', {
      message: `Bundle "${id}" is older than what this device was told already: revision ${own.desired.revision}, known is ${knownRevision}.`,
      hint: 'Take the newest bundle; to go back to an older version, deploy that and export again.',
    });
  return own;
}

/** A clock may be behind, without a battery by decades; what the server has signed is a time that has passed. */
function assertNotExpired({ id, expiresAt }: BundleStatement, { memory, nowMs, joinedAt }: BundleSituation): void {
  const provenMs = Math.max(Date.parse(joinedAt), memory.newestSignedAt === null ? 0 : Date.parse(memory.newestSignedAt));
  if (Math.max(nowMs, provenMs) < Date.parse(expiresAt)) return;
  const clock = new Date(nowMs).toISOString();
  const reason =
    nowMs < provenMs
      ? `the clock of this device says ${clock}, which is wrong: a time that the server has signed is ${new Date(provenMs).toISOString()}`
      : `the clock of this device says ${clock}`;
  throw new AppError('BUNDLE_EXPIRED', {
    message: `Bundle "${id}" expired at ${expiresAt}; ${reason}.`,
    hint: 'Export a new one; if the clock is ahead, set it.',
  });
}

/** What is remembered once a bundle is taken. */
export function withStatement(memory: BundleMemory, { createdAt, revoked }: BundleStatement): BundleMemory {
  const { newestSignedAt, revokedBundles } = memory;
  const isNewest = newestSignedAt === null || Date.parse(createdAt) > Date.parse(newestSignedAt);
  // The server names those that could still be applied: the latest list is the whole of it, and an older one adds to it.
  const known = isNewest ? revoked.bundles : [...new Set([...revokedBundles, ...revoked.bundles])].slice(0, 10_000);
  return { ...memory, newestSignedAt: isNewest ? createdAt : newestSignedAt, revokedBundles: known };
}

/** Whether the content that came with an order is still needed. With a native package it is, also for the model server in its place. */
export function needsContent(
  { desired }: BundleOrder,
  observedRevision: number,
  reports: readonly {
    name: string;
    state: string;
    servingVersion: string | null;
    trial?: { state: string } | null | undefined;
  }[],
): boolean {
  if (observedRevision > desired.revision) return false;
  return desired.workloads.some(({ name, version, native }) => {
    if (native !== undefined) return true;
    const report = reports.find((one) => one.name === name);
    const isTrying = report?.trial?.state === 'preparing' || report?.trial?.state === 'running';
    return report?.state !== 'serving' || report.servingVersion !== version || isTrying;
  });
}
