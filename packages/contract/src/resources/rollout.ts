import * as z from 'zod';
import { nameSchema, timestampSchema } from '../common.ts';
import { type TransferCounts, transferCountsSchema } from '../device-channel/messages.ts';
import { rolloutPolicySchema } from '../rollout-policy.ts';
import { trialArmSchema, trialCheckSchema } from '../trial-gates.ts';
import { resourceOf } from './envelope.ts';

/** What a rollout is about; written once, when it begins. */
const rolloutSpecSchema = z.strictObject({
  inferenceModel: nameSchema,
  /** Of the InferenceModel whose change it carries out. */
  generation: z.int().min(1),
  model: nameSchema,
  /** Version that devices serve before; empty when there is none. */
  fromVersion: z.string().max(63),
  toVersion: z.string().min(1).max(63),
  /** Port that devices are told with `toVersion`; 0 or absent: they pick one. */
  servingPort: z.int().min(0).max(65_535).optional(),
  /** What devices are told with `fromVersion`, where an edit changed that too. */
  from: z.strictObject({ model: nameSchema, servingPort: z.int().min(0).max(65_535) }).optional(),
  /** As it held when the rollout began, defaults filled in; without `trial`, devices do not try the version but just take it. */
  policy: rolloutPolicySchema,
  /** Who or what began it. */
  cause: z.string().max(1024),
});

export const rolloutPhaseSchema = z.enum(['running', 'paused', 'waiting', 'reverting', 'succeeded', 'failed', 'aborted', 'superseded']);
export type RolloutPhase = z.infer<typeof rolloutPhaseSchema>;

/** `catching-up`: it was offline when its wave came and is not waited for. */
export const rolloutDeviceStateSchema = z.enum([
  'waiting',
  'updating',
  'on-trial',
  'passed',
  'failed',
  'reverting',
  'reverted',
  'catching-up',
]);

export const rolloutDeviceSchema = z.object({
  device: nameSchema,
  wave: z.int().min(0),
  state: rolloutDeviceStateSchema,
  /** What it served when the rollout began; null: nothing. */
  fromVersion: z.string().nullable(),
  releasedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  checks: z.array(trialCheckSchema),
  arms: z.array(trialArmSchema),
  message: z.string(),
  revertedInMs: z.number().nullable(),
  /** It went away while it took the version up: a wave of which only such devices are left does not pass. */
  lost: z.boolean().optional(),
  /** What it fetched for this version, and what the whole would have been; null where it did not say. */
  transfer: transferCountsSchema.partial({ sharedBytes: true, patchedBytes: true }).nullable(),
});
export type RolloutDevice = z.infer<typeof rolloutDeviceSchema>;

export const rolloutWaveSchema = z.object({
  index: z.int().min(0),
  devices: z.int().min(0),
  state: z.enum(['waiting', 'running', 'soaking', 'passed', 'failed']),
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  /** The gates over all devices of the wave, with their numbers, and how many failed. */
  checks: z.array(trialCheckSchema),
  message: z.string(),
  /** Somebody resumed the rollout although this wave had failed. */
  accepted: z.boolean().optional(),
});
export type RolloutWave = z.infer<typeof rolloutWaveSchema>;

export const rolloutStatusSchema = z.object({
  phase: rolloutPhaseSchema,
  /** Phase that follows when every device that can be reached has reverted. */
  ending: z.enum(['failed', 'aborted']).optional(),
  /** Grows with every retry; part of the trial's id. */
  attempt: z.int().min(1),
  /** Index of the wave under way. */
  wave: z.int().min(0),
  waves: z.array(rolloutWaveSchema),
  devices: z.array(rolloutDeviceSchema),
  message: z.string(),
  startedAt: timestampSchema,
  finishedAt: timestampSchema.nullable(),
  /** Digest and size of the golden set that devices were given. */
  golden: z.object({ sha256: z.string(), sizeBytes: z.int(), samples: z.int() }).nullable(),
});
export type RolloutStatus = z.infer<typeof rolloutStatusSchema>;

/** Over all devices that said so; undefined when none did. */
export function transferOf({ devices }: Pick<RolloutStatus, 'devices'>): TransferCounts | undefined {
  const said = devices.flatMap(({ transfer }) => (transfer === null ? [] : [transfer]));
  if (said.length === 0) return undefined;
  const sum = (field: keyof TransferCounts) => said.reduce((total, counts) => total + (counts[field] ?? 0), 0);
  return {
    wholeBytes: sum('wholeBytes'),
    fetchedBytes: sum('fetchedBytes'),
    sharedBytes: sum('sharedBytes'),
    patchedBytes: sum('patchedBytes'),
  };
}

export const rolloutSchema = resourceOf('Rollout', rolloutSpecSchema, rolloutStatusSchema);
export type Rollout = z.infer<typeof rolloutSchema>;
