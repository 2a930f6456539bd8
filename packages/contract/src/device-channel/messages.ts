import * as z from 'zod';
import { targetNameSchema } from '../build-options.ts';
import { labelsSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { nativeBenchSchema } from '../native-package.ts';
import { devicePathSchema } from '../resources/operation.ts';
import { toldBudgetsSchema } from './budgets.ts';
import { commandHead } from './command-head.ts';
import { deviceLocationSchema } from './location.ts';
import { remoteCommandSchemas, remoteOutcomeSchemas } from './remote-commands.ts';
import { heldSchema, maintenanceWindowSchema, trialReportSchema, trialSchema } from './trial.ts';
import { upkeepSchema } from './upkeep.ts';

/** Wire version of the messages below; each carries it as `v`. */
export const DEVICE_CHANNEL_VERSION = 1;
const v = z.literal(DEVICE_CHANNEL_VERSION);

/** A file a device fetches by `GET /device/v1/blobs/{sha256}` on the device port. */
export const fileReferenceSchema = z.object({ sha256: sha256Schema, sizeBytes: z.int().min(0) });

/**
 * A native package as one file: its manifest, its provenance, and the manifest's files in its order, one right after the other.
 */
export const openedPackageSchema = fileReferenceSchema.extend({
  /** Of manifest.json, with which it begins. */
  manifestBytes: z.int().min(1),
  /** Of provenance.dsse.json, which follows. */
  provenanceBytes: z.int().min(1),
});
export type OpenedPackage = z.infer<typeof openedPackageSchema>;

/**
 * `GET /device/v1/deltas/{sha256}?from=A,B`: how to make that blob of one of the others, which the device has. 404 when there is no
 * way that is worth it; then the blob is fetched whole. The patch is fetched as a blob is.
 */
export const deltaOfferSchema = z.object({
  /** How the patch is made; `vcdiff+zstd` is VCDIFF (RFC 3284) in zstd frames (RFC 8878). */
  format: z.string().min(1).max(64),
  from: sha256Schema,
  patch: fileReferenceSchema,
  /** Of a native package: what the patch gives, made of the other one in the same form. */
  opened: openedPackageSchema.optional(),
});
export type DeltaOffer = z.infer<typeof deltaOfferSchema>;
export const DELTA_FORMAT = 'vcdiff+zstd';
/** ... and of `GET /device/v1/package-deltas/{manifest}?from=A,B`, where packages are named by the digests of their manifests. */
export const PACKAGE_DELTA_FORMAT = 'package+vcdiff+zstd';
/** Digests that one request may name as what the device has. */
export const MAX_DELTA_BASES = 16;

/** A signed package archive, and the digest of the manifest in it. */
export const nativePackageReferenceSchema = z.object({
  package: nameSchema,
  model: nameSchema,
  version: z.string().min(1).max(63),
  target: targetNameSchema,
  archive: fileReferenceSchema,
  manifestSha256: sha256Schema,
});
export type NativePackageReference = z.infer<typeof nativePackageReferenceSchema>;

/** One thing to keep running. `name` is the InferenceModel's. */
export const desiredWorkloadSchema = z.object({
  name: nameSchema,
  kind: z.literal('model-server'),
  model: nameSchema,
  version: z.string().min(1).max(63),
  /** The package manifest; everything else is named in it. */
  manifest: fileReferenceSchema,
  /** A native package of the same version for this device's target. The agent prefers it and falls back to the model server. */
  native: nativePackageReferenceSchema.optional(),
  /** 0: the agent picks a free port and keeps it. */
  servingPort: z.int().min(0).max(65_535),
  /** How a version that the device does not serve yet is watched; without it, only that it starts and passes its self-test. */
  trial: trialSchema.optional(),
  /** When the device may change the version; any time without it. What the device itself forbids wins. */
  windows: z.array(maintenanceWindowSchema).max(16).optional(),
  /** Fetch over an unmetered link only. */
  deferOnMetered: z.boolean().optional(),
});
export type DesiredWorkload = z.infer<typeof desiredWorkloadSchema>;

/** Retained. `revision` grows with every change and never falls, so a late duplicate is recognised. */
export const desiredStateSchema = z.object({
  v,
  revision: z.int().min(0),
  // lazy: a device that serves nothing does without the schemas of all that a workload may have
  workloads: z.array(z.lazy(() => desiredWorkloadSchema)).max(100),
  /** What the agent may use of the device; what the device itself has set holds where it is stricter. */
  budgets: toldBudgetsSchema.optional(),
});
export type DesiredState = z.infer<typeof desiredStateSchema>;

/** What getting a version cost, in bytes. */
export const transferCountsSchema = z.object({
  /** Of all its files. */
  wholeBytes: z.int().min(0),
  /** That came over the network: whole files and patches. */
  fetchedBytes: z.int().min(0),
  /** Of the files that the device had from other versions. */
  sharedBytes: z.int().min(0),
  /** Of the files that it made by patches. */
  patchedBytes: z.int().min(0),
});
export type TransferCounts = z.infer<typeof transferCountsSchema>;

export const workloadReportSchema = z.object({
  name: nameSchema,
  model: nameSchema,
  desiredVersion: z.string(),
  /** What answers requests now; null when nothing does. */
  servingVersion: z.string().nullable(),
  /** Kept on disk to fall back to. */
  previousVersion: z.string().nullable(),
  state: z.enum(['pending', 'fetching', 'verifying', 'starting', 'probing', 'serving', 'stopping', 'failed']),
  port: z.int().min(0).max(65_535).nullable(),
  /** Download progress in bytes while fetching. */
  progress: z.object({ doneBytes: z.int().min(0), totalBytes: z.int().min(0) }).nullable(),
  /** Why the desired version is not serving. `code` is from the error table. */
  error: z.object({ code: z.string(), message: z.string().max(4096), at: timestampSchema }).nullable(),
  /** How often the process was started again since the agent began to keep it. */
  restarts: z.int().min(0),
  servingSince: timestampSchema.nullable(),
  /** What serves: `model-server`, or the name of the native package; absent from agents that know only the former. */
  runtime: z.string().max(300).optional(),
  /** Why the native package does not serve although there is one. */
  nativeError: z
    .object({ code: z.string(), message: z.string().max(4096) })
    .nullable()
    .optional(),
  /** The trial that is under way, or the last one. */
  trial: trialReportSchema.nullable().optional(),
  held: heldSchema.nullable().optional(),
  /** What fetching the desired version cost; absent before it is there, and from agents that do not count. */
  transfer: transferCountsSchema.optional(),
});
export type WorkloadReport = z.infer<typeof workloadReportSchema>;

export const deviceInfoSchema = z.object({
  agentVersion: z.string().max(64),
  hostname: z.string().max(253),
  arch: z.string().max(32),
  platform: z.string().max(32),
  osRelease: z.string().max(256),
  cpuModel: z.string().max(256),
  cpus: z.int().min(0),
  memoryBytes: z.int().min(0),
  /** Targets whose packages it can run, the best first. */
  targets: z.array(targetNameSchema).max(16).optional(),
});
export type DeviceInfo = z.infer<typeof deviceInfoSchema>;

export const reportedStateSchema = z.object({
  v,
  /** Grows by one per message of this agent process; a lower one is stale. */
  sequence: z.int().min(0),
  instanceId: z.string().max(64),
  /** Revision of the desired state that this report answers. */
  observedRevision: z.int().min(0),
  info: deviceInfoSchema,
  workloads: z.array(workloadReportSchema).max(100),
  /** The device's clock minus the server's, in milliseconds, as far as it is known; absent from agents that do not compare. */
  clockOffsetMs: z.number().optional(),
  /** Where the device says that it is. */
  location: deviceLocationSchema.optional(),
  /** sha256 (of the DER) of the authorities that it takes as the server's; absent from agents that know one only. */
  trusts: z.array(sha256Schema).max(16).optional(),
  upkeep: upkeepSchema.optional(),
});
export type ReportedState = z.infer<typeof reportedStateSchema>;

/** `instanceId` is new with every start of an agent process: two alive at once mean a copied identity. */
export const presenceSchema = z.object({
  v,
  online: z.boolean(),
  instanceId: z.string().max(64),
  /** The device's end of the connection, HOST:PORT, where a broker of its own is in between, which does not tell. */
  address: z
    .string()
    .max(300)
    .regex(/^[\w.:%-]+:\d{1,5}$/)
    .optional(),
});
export type Presence = z.infer<typeof presenceSchema>;

export const commandSchema = z.discriminatedUnion('type', [
  z.object({
    ...commandHead,
    type: z.literal('infer'),
    workload: nameSchema,
    contentType: z.string().max(128),
    bodyBase64: z.base64(),
  }),
  /** Measures a native package, fetching it first if need be. */
  z.object({
    ...commandHead,
    type: z.literal('bench'),
    native: nativePackageReferenceSchema,
    seconds: z.int().min(1).max(600),
    threads: z.int().min(1).max(64),
  }),
  /** Fetch which authorities are trusted now, and renew the certificate when it is not of the current one. */
  z.object({ ...commandHead, type: z.literal('refresh-identity') }),
  /** Fetches a file to a path of the device; answered when it is there. Asked again for the same operation, it goes on with that. */
  z.object({
    ...commandHead,
    type: z.literal('push'),
    operation: nameSchema,
    file: fileReferenceSchema,
    path: devicePathSchema,
    mode: z.int().min(0).max(0o777).optional(),
    limitBytesPerS: z.int().min(1024).optional(),
    check: z.boolean().optional(),
  }),
  /**
   * Fetches the archive of a folder, and puts the folder at a path of the device in place of what is there; answered when it is
   * there. Asked again for the same operation, it goes on with that.
   */
  z.object({
    ...commandHead,
    type: z.literal('push-folder'),
    operation: nameSchema,
    /** The archive. */
    file: fileReferenceSchema,
    path: devicePathSchema,
    limitBytesPerS: z.int().min(1024).optional(),
    check: z.boolean().optional(),
  }),
  /** Sends a file by `PUT /device/v1/uploads/{operation}`; answered when it is sent. Asked again, it goes on with that. */
  z.object({
    ...commandHead,
    type: z.literal('pull'),
    operation: nameSchema,
    path: devicePathSchema,
    limitBytesPerS: z.int().min(1024).optional(),
    check: z.boolean().optional(),
    /** A folder is to be sent as well, as an archive of it. */
    folder: z.boolean().optional(),
  }),
  /** Ends what the device does for an operation. */
  z.object({ ...commandHead, type: z.literal('cancel'), operation: nameSchema }),
  ...remoteCommandSchemas,
]);
export type Command = z.infer<typeof commandSchema>;

export const inferResultSchema = z.object({
  model: nameSchema,
  version: z.string(),
  /** Time in the model server from the request's body to the result, in milliseconds. */
  latencyMs: z.number().min(0),
  /** What the pipeline's post-processing made, e.g. { top: {...}, topk: [...] } or { boxes: [...] }. */
  result: z.record(z.string(), z.unknown()),
});
export type InferResult = z.infer<typeof inferResultSchema>;

export const transferResultSchema = z.object({
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
  /** Whether the device's file is another one than before, or would be; false for what is only read. */
  changed: z.boolean(),
  /** It is the archive of a folder. */
  folder: z.boolean().optional(),
});
export type TransferResult = z.infer<typeof transferResultSchema>;

export const replySchema = z.object({
  v,
  id: z.string().min(1).max(64),
  outcome: z.union([
    z.object({ ok: z.literal(true), infer: inferResultSchema }),
    z.object({ ok: z.literal(true), bench: nativeBenchSchema }),
    z.object({ ok: z.literal(true), refreshed: z.literal(true) }),
    z.object({ ok: z.literal(true), transfer: transferResultSchema }),
    /** False when there was nothing to end. */
    z.object({ ok: z.literal(true), cancelled: z.boolean() }),
    ...remoteOutcomeSchemas,
    z.object({ ok: z.literal(false), error: z.object({ code: z.string(), message: z.string().max(4096) }) }),
  ]),
});
export type Reply = z.infer<typeof replySchema>;

/** `POST /device/v1/join` (no client certificate): the token's secret and a PKCS#10 request. */
export const joinRequestSchema = z.strictObject({
  secret: z.string().min(16).max(256),
  csrPem: z.string().max(8192),
  /** Wished name; the server picks `device-<n>` without one. Refused when another device has it. */
  name: nameSchema.optional(),
  labels: labelsSchema.optional(),
});
export type JoinRequest = z.infer<typeof joinRequestSchema>;

/**
 * Whom a device trusts; several certificates follow each other in one PEM text while one authority takes over from another.
 * `GET /device/v1/trust` answers with it.
 */
export const deviceTrustSchema = z.object({
  /** Authorities of the server's own certificate. */
  caPem: z.string().max(65_536),
  /** Authorities whose package signatures hold; also those that are retired. */
  packageCaPem: z.string().max(65_536),
  /** sha256 of the authority that issues certificates now. */
  issuerSha256: sha256Schema,
  /** Where MQTT is spoken, by a broker of its own that has a certificate of these authorities; absent: on the device port. */
  broker: z.object({ host: z.string().min(1).max(253), port: z.int().min(1).max(65_535) }).optional(),
});
export type DeviceTrust = z.infer<typeof deviceTrustSchema>;

/** `caPem`: the authority that issued the certificate. Servers that know of changing authorities send `trust` as well. */
export const joinResponseSchema = z.object({
  device: nameSchema,
  certificatePem: z.string(),
  caPem: z.string(),
  trust: deviceTrustSchema.optional(),
});
export type JoinResponse = z.infer<typeof joinResponseSchema>;

/** `POST /device/v1/renew` (with the client certificate, also an expired one): a new PKCS#10 request. */
export const renewRequestSchema = z.strictObject({ csrPem: z.string().max(8192) });

/** The name in the server's certificate; agents verify it whatever address they dial. */
export const SERVER_TLS_NAME = 'selvedge-server';
