import * as z from 'zod';
import { maintenanceWindowSchema } from './device-channel/trial.ts';
import { trialGatesSchema } from './trial-gates.ts';

/** A number of devices, or a share of all like `10%`. */
export const deviceCountSchema = z.union([
  z.int().min(1).max(1_000_000),
  z.string().regex(/^(100|[1-9]?\d)(\.\d+)?%$/, 'must be a number of devices or a share like 10%'),
]);
export type DeviceCount = z.infer<typeof deviceCountSchema>;

export const ROLLOUT_STRATEGIES = ['all-at-once', 'waves', 'shadow', 'split'] as const;

/** How a change of an InferenceModel reaches its devices. Everything has a default; without the block it is all at once, with no trial. */
export const rolloutPolicySchema = z.strictObject({
  /**
   * `all-at-once`: one wave. `waves`: by `waves`. `shadow`: as waves, both versions see every input and the old one answers until the trial
   * has passed. `split`: as waves, the new version answers `share` of the requests until the trial has passed. Each device swaps blue/green.
   * Default `waves` when `waves` is given, else `all-at-once`.
   */
  strategy: z.enum(ROLLOUT_STRATEGIES).optional(),
  /** Cumulative sizes, growing; the last is completed to all. Default 1, 10%, 100%. */
  waves: z.array(deviceCountSchema).min(1).max(100).optional(),
  /** Which devices come first: by name, by the values of a label in this order (others last), or the best links first. Default by name. */
  order: z
    .union([
      z.literal('name'),
      z.literal('link'),
      z.strictObject({ label: z.string().max(317), values: z.array(z.string().max(63)).max(1000).optional() }),
    ])
    .optional(),
  /** Most devices of a wave that change at one time; default all of them. */
  maxUnavailable: deviceCountSchema.optional(),
  /** Of the requests, with `split`; default 0.1. */
  share: z.number().min(0).max(1).optional(),
  /** The trial on each device; default 60 s and no least number of requests. */
  trial: z
    .strictObject({ durationS: z.int().min(1).max(2_592_000).optional(), minRequests: z.int().min(0).max(1_000_000).optional() })
    .optional(),
  gates: trialGatesSchema.optional(),
  /** Most devices of a wave that may fail their trial, as a share, before the wave has failed; default 0. */
  maxFailed: z.number().min(0).max(1).optional(),
  /** Golden set: a dataset and how many samples of its test split (default 100). */
  golden: z.strictObject({ dataset: z.string().max(264), samples: z.int().min(1).max(1000).optional() }).optional(),
  /** Wait after a wave before the next, seconds; default 0. */
  soakS: z.int().min(0).max(2_592_000).optional(),
  /** Wait for "selvedge rollout promote" after each wave; default false. */
  manual: z.boolean().optional(),
  /** What a failed wave does: `revert` every device that took the version up, or `pause` where it stands. Default revert. */
  onFailure: z.enum(['revert', 'pause']).optional(),
  /** Devices that are offline are not waited for: they catch up. After so many seconds without a verdict an online one has failed; default 3600. */
  deviceTimeoutS: z.int().min(10).max(2_592_000).optional(),
  windows: z.array(maintenanceWindowSchema).max(16).optional(),
  deferOnMetered: z.boolean().optional(),
});
export type RolloutPolicy = z.infer<typeof rolloutPolicySchema>;
