import * as z from 'zod';
import { nameSchema, sha256Schema, timestampSchema } from './common.ts';
import { desiredStateSchema, fileReferenceSchema, reportedStateSchema } from './device-channel/messages.ts';
import { telemetryBatchSchema } from './device-channel/telemetry.ts';

/**
 * A bundle is an uncompressed tar: this entry, then `content/<sha256>` for each file that the statement lists, in its order,
 * then the two blocks that end a tar, then nothing. Each header is the one that `ustarHeader` makes of name and size.
 */
export const BUNDLE_STATEMENT_ENTRY = 'bundle.dsse.json';
export const BUNDLE_CONTENT_FOLDER = 'content/';
/** What the statement's envelope says that its payload is. */
export const BUNDLE_PAYLOAD_TYPE = 'application/vnd.selvedge.bundle+json';
export const RESULTS_PAYLOAD_TYPE = 'application/vnd.selvedge.results+json';

export const MAX_BUNDLE_STATEMENT_BYTES = 32 * 1024 * 1024;
export const MAX_BUNDLE_DEVICES = 1000;
const MAX_BUNDLE_FILES = 20_000;
/** A tar header has room for eleven octal digits. */
const MAX_BUNDLE_FILE_BYTES = 8 ** 11 - 1;
const MAX_REVOKED = 10_000;
/** How long a bundle may be applied unless it says otherwise, in seconds. */
export const DEFAULT_BUNDLE_EXPIRY_S = 30 * 86_400;

/** Of a DSSE envelope as bundles and results have it; which signer is taken differs. */
function envelopeOf<const T extends string>(payloadType: T) {
  return z.strictObject({
    payloadType: z.literal(payloadType),
    payload: z.base64(),
    signatures: z
      .array(z.strictObject({ keyid: z.string().max(128), sig: z.base64().max(1024), certificate: z.string().max(8192) }))
      .length(1),
  });
}
export const bundleEnvelopeSchema = envelopeOf(BUNDLE_PAYLOAD_TYPE);
export type BundleEnvelope = z.infer<typeof bundleEnvelopeSchema>;

export const MAX_TAKEN_RANGES = 100;
const sequenceSchema = z.int().min(0);

/** Numbers of a device's records that the server has stored, of one spool; sorted. */
export const takenNumbersSchema = z.object({
  spool: z.string().min(1).max(64),
  ranges: z.array(z.object({ first: sequenceSchema, last: sequenceSchema })).max(MAX_TAKEN_RANGES),
});
export type TakenNumbers = z.infer<typeof takenNumbersSchema>;

export const bundleDeviceSchema = z.object({
  name: nameSchema,
  /** sha256 of the certificates by which the server knows the device: the current one, and one that it has not used yet. */
  certificates: z.array(sha256Schema).min(1).max(2),
  desired: desiredStateSchema,
  /** What of the bundle's content this device needs, by sha256. */
  content: z.array(sha256Schema).max(MAX_BUNDLE_FILES),
  /** What it need not keep to be sent any longer, however that has come to the server. */
  taken: z.array(takenNumbersSchema).max(16).optional(),
});
export type BundleDevice = z.infer<typeof bundleDeviceSchema>;

/** What the server signs. Everything else in a bundle is content that is named here by its sha256. */
export const bundleStatementSchema = z.object({
  formatVersion: z.literal(1),
  /** Name of the Bundle resource. */
  id: nameSchema,
  /** sha256 of the server's authority (DER), as join tokens carry it. */
  authoritySha256: sha256Schema,
  createdAt: timestampSchema,
  expiresAt: timestampSchema,
  /** Sorted by name. */
  devices: z.array(bundleDeviceSchema).min(1).max(MAX_BUNDLE_DEVICES),
  /** Sorted by sha256. */
  content: z.array(fileReferenceSchema.extend({ sizeBytes: z.int().min(0).max(MAX_BUNDLE_FILE_BYTES) })).max(MAX_BUNDLE_FILES),
  /** What devices are not to take any more, whoever brings it. */
  revoked: z.object({
    /** Bundles, by id. */
    bundles: z.array(nameSchema).max(MAX_REVOKED),
    /** Certificates of devices that were removed. */
    certificates: z.array(sha256Schema).max(MAX_REVOKED),
  }),
});
export type BundleStatement = z.infer<typeof bundleStatementSchema>;

/** Largest file of results that is made or taken, in bytes. */
export const MAX_RESULTS_BYTES = 64 * 1024 * 1024;

/** What a device says of itself where no network leads to the server; signed by the key of its certificate. */
export const resultsStatementSchema = z.object({
  formatVersion: z.literal(1),
  device: nameSchema,
  /** Grows by one with each file of results of this device: one that comes late does not put the clock back. */
  sequence: z.int().min(1),
  /** By the device's clock. */
  createdAt: timestampSchema,
  /** The bundle that it has taken last; null before the first. */
  bundle: z.object({ id: nameSchema, revision: z.int().min(0), appliedAt: timestampSchema }).nullable(),
  /** Null before the agent has run. */
  reported: reportedStateSchema.nullable(),
  /** What waits to be sent, in batches as they would go over the wire; what the server knows already does no harm. */
  telemetry: z.array(telemetryBatchSchema).max(1000),
});
export type ResultsStatement = z.infer<typeof resultsStatementSchema>;

/** A file of results is this, as JSON: the device's signature (ECDSA, sha256), its certificate, and the statement. */
export const resultsEnvelopeSchema = envelopeOf(RESULTS_PAYLOAD_TYPE);
export type ResultsEnvelope = z.infer<typeof resultsEnvelopeSchema>;
