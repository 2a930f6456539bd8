import * as z from 'zod';
import { sha256Schema, timestampSchema } from '../common.ts';
import { dsseEnvelopeSchema } from '../native-package.ts';
import { trialArmSchema, trialCheckSchema, trialGatesSchema } from '../trial-gates.ts';

const fileReference = z.object({ sha256: sha256Schema, sizeBytes: z.int().min(0) });

/** How traffic meets a version on trial: all of it, a copy of it (the previous one answers), or a share of the requests. */
export const trialModeSchema = z.enum(['serve', 'shadow', 'split']);
export type TrialMode = z.infer<typeof trialModeSchema>;

/**
 * A span of local time in which a device may take up a new version. `to` before `from` goes past midnight; `days` are those on which
 * it begins, 0 is Sunday, all without it; `timeZone` is an IANA name, UTC without it.
 */
export const maintenanceWindowSchema = z.strictObject({
  from: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day like 02:30'),
  to: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day like 04:00'),
  days: z.array(z.int().min(0).max(6)).min(1).max(7).optional(),
  timeZone: z.string().min(1).max(64).optional(),
});
export type MaintenanceWindow = z.infer<typeof maintenanceWindowSchema>;

/**
 * The trial of a workload's version: how it is to be watched on the device, and what it must keep. The device itself decides: a trial
 * that fails goes back to the previous version at once, also offline, and the same `id` is not tried again.
 */
export const trialSchema = z.object({
  /** Differs for every attempt of a rollout. */
  id: z.string().min(1).max(128),
  mode: trialModeSchema,
  /** Of the requests that the new version answers; with mode `split` only. */
  share: z.number().min(0).max(1).optional(),
  /** From the moment it gets traffic (or its copy) to the verdict. */
  durationS: z.int().min(1).max(2_592_000),
  /** Verdicts by traffic need so many requests; a trial that is over without them passes on the other gates. */
  minRequests: z.int().min(0).max(1_000_000),
  gates: trialGatesSchema,
  /** Signed golden set to run before traffic moves: a DSSE envelope whose payload is a `goldenSetSchema` document. */
  golden: fileReference.optional(),
});
export type Trial = z.infer<typeof trialSchema>;

export const GOLDEN_SET_PAYLOAD_TYPE = 'application/vnd.selvedge.golden-set+json';
/** The file of a golden set: its document, signed by the server's key for packages. */
export const goldenEnvelopeSchema = dsseEnvelopeSchema.extend({ payloadType: z.literal(GOLDEN_SET_PAYLOAD_TYPE) });
/** Largest golden set, in bytes of its envelope. */
export const MAX_GOLDEN_SET_BYTES = 8 * 1024 * 1024;

/** What a version is asked on the device, and what it should answer. */
export const goldenSetSchema = z.object({
  formatVersion: z.literal(1),
  dataset: z.string().max(264),
  /** `label`: `top.label` of the result must equal it. */
  metric: z.literal('accuracy'),
  samples: z
    .array(z.object({ contentType: z.string().max(128), bodyBase64: z.base64(), label: z.string().max(256) }))
    .min(1)
    .max(1000),
});
export type GoldenSet = z.infer<typeof goldenSetSchema>;

/** How a trial stands on a device. */
export const trialReportSchema = z.object({
  id: z.string().max(128),
  version: z.string().max(63),
  /** `preparing`: fetched and tested, no traffic yet. */
  state: z.enum(['preparing', 'running', 'passed', 'failed']),
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  checks: z.array(trialCheckSchema).max(32),
  /** With modes `shadow` and `split`: the version of before first. */
  arms: z.array(trialArmSchema).max(2),
  /** Why it failed; `code` is from the error table. */
  failure: z.object({ code: z.string(), message: z.string().max(4096) }).nullable(),
  /** From the verdict to the moment the previous version had all traffic again. */
  revertedInMs: z.number().min(0).nullable(),
});
export type TrialReport = z.infer<typeof trialReportSchema>;

/** Why a device does not take up the version that it is told to, although it could. */
export const heldSchema = z.object({
  reason: z.enum(['window', 'lock', 'metered', 'budget']),
  message: z.string().max(1024),
  untilAt: timestampSchema.nullable(),
});
export type Held = z.infer<typeof heldSchema>;
