import * as z from 'zod';
import { timestampSchema } from '../common.ts';
import { deviceInfoSchema, telemetrySampleSchema, workloadReportSchema } from '../device-channel/messages.ts';
import { documentSchema, resourceSchema } from './envelope.ts';

const deviceSpecSchema = z.strictObject({ description: z.string().max(16_384).optional() });

export const deviceConflictSchema = z.object({
  /** The agents (one id per process start) that were seen in turn with this identity. */
  instances: z.array(z.object({ instanceId: z.string(), address: z.string(), lastSeenAt: timestampSchema })),
  since: timestampSchema,
});

export const deviceStatusSchema = z.object({
  online: z.boolean(),
  lastSeenAt: timestampSchema.nullable(),
  joinedAt: timestampSchema,
  certificate: z.object({ serial: z.string(), fingerprint256: z.string(), notAfter: timestampSchema }),
  info: deviceInfoSchema.nullable(),
  workloads: z.array(workloadReportSchema),
  telemetry: telemetrySampleSchema.nullable(),
  /** Set while two agents use this identity; names them. */
  conflict: deviceConflictSchema.nullable(),
  /** Highest desired-state revision that the device has acted on. */
  observedRevision: z.int().min(0),
});
export type DeviceStatus = z.infer<typeof deviceStatusSchema>;

/** Users may apply a Device document to change labels and description; a device comes into being by joining. */
export const deviceDocumentSchema = documentSchema('Device', deviceSpecSchema);
export const deviceSchema = resourceSchema('Device', deviceSpecSchema, deviceStatusSchema);
export type Device = z.infer<typeof deviceSchema>;
