import * as z from 'zod';
import { nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { deviceBudgetsSchema } from '../device-channel/budgets.ts';
import { type DeviceLocation, deviceLocationSchema } from '../device-channel/location.ts';
import { deviceInfoSchema, workloadReportSchema } from '../device-channel/messages.ts';
import { telemetrySampleSchema } from '../device-channel/telemetry.ts';
import { upkeepSchema } from '../device-channel/upkeep.ts';
import { documentOf, resourceOf } from './envelope.ts';

const deviceSpecSchema = z.strictObject({
  description: z.string().max(16_384).optional(),
  /** Where it stands; wins over what the device says of itself. */
  location: deviceLocationSchema.optional(),
  /** Free text of whoever looks after it. */
  notes: z.string().max(16_384).optional(),
  /** What its agent may use; what the device itself has set holds where it is stricter. */
  budgets: deviceBudgetsSchema.optional(),
});

export const deviceConflictSchema = z.object({
  /** The agents (one id per process start) that were seen in turn with this identity. */
  instances: z.array(z.object({ instanceId: z.string(), address: z.string(), lastSeenAt: timestampSchema })),
  since: timestampSchema,
});

export const deviceStatusSchema = z.object({
  online: z.boolean(),
  lastSeenAt: timestampSchema.nullable(),
  joinedAt: timestampSchema,
  certificate: z.object({
    serial: z.string(),
    fingerprint256: z.string(),
    notAfter: timestampSchema,
    /** sha256 of the authority that issued it; absent when it is from before the first change of authorities. */
    issuerSha256: sha256Schema.optional(),
    /** sha256 of the device's public key (SPKI, DER). */
    keySha256: sha256Schema.optional(),
  }),
  info: deviceInfoSchema.nullable(),
  workloads: z.array(workloadReportSchema),
  telemetry: telemetrySampleSchema.nullable(),
  /** Set while two agents use this identity; names them. */
  conflict: deviceConflictSchema.nullable(),
  /** Highest desired-state revision that the device has acted on. */
  observedRevision: z.int().min(0),
  /** Host that its present or last connection came from. */
  address: z.string().max(256).optional(),
  /** Its clock minus the server's, milliseconds; absent when it does not say. */
  clockOffsetMs: z.number().optional(),
  /** Where it says that it is. */
  location: deviceLocationSchema.optional(),
  /** Authorities that it takes as the server's, by sha256; absent from agents that know one only. */
  trusts: z.array(sha256Schema).max(16).optional(),
  /** The last results of it that came on a stick. */
  byBundle: z
    .object({
      /** The bundle that it had taken then. */
      bundle: nameSchema.nullable(),
      importedAt: timestampSchema,
      /** By the device's clock. */
      reportedAt: timestampSchema,
      sequence: z.int().min(1),
    })
    .optional(),
  /** What waits on it to be sent, and what it uses of its budgets; absent from agents that do not say. */
  upkeep: upkeepSchema.optional(),
});
export type DeviceStatus = z.infer<typeof deviceStatusSchema>;

/** Users may apply a Device document to change labels and description; a device comes into being by joining. */
export const deviceDocumentSchema = documentOf('Device', deviceSpecSchema);
export const deviceSchema = resourceOf('Device', deviceSpecSchema, deviceStatusSchema);
export type Device = z.infer<typeof deviceSchema>;

/** Where a device is: as set, else as it says itself. */
export function locationOf({ spec, status }: Device): (DeviceLocation & { source: 'set' | 'device' }) | undefined {
  if (spec.location !== undefined) return { ...spec.location, source: 'set' };
  return status.location === undefined ? undefined : { ...status.location, source: 'device' };
}

/** A clock that is further off than this is worth a word. */
const CLOCK_TOLERANCE_MS = 60_000;

/** `2 min behind`, `31 years ahead`; undefined while the clock is right or nothing is known of it. */
export function clockFault({ status }: Device): string | undefined {
  const offset = status.clockOffsetMs;
  if (offset === undefined || Math.abs(offset) < CLOCK_TOLERANCE_MS) return undefined;
  const seconds = Math.abs(offset) / 1000;
  const units = [
    [365.25 * 86_400, 'year'],
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ] as const;
  const [size, unit] = units.find(([size]) => seconds >= size * 2) ?? [60, 'minute'];
  const count = Math.round(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'} ${offset > 0 ? 'ahead' : 'behind'}`;
}
