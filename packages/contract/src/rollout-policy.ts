import * as z from 'zod';
import { maintenanceWindowSchema } from './device-channel/trial.ts';
import { trialGatesSchema } from './trial-gates.ts';

/** A number of devices, or a share of all like `10%`. */
export const deviceCountSchema = z.union([
  z.int().min(1).max(1_000_000),
  z.string().regex(/^(100|[1-9]?\d)(\.\d+)?%$/, 'must be a number of devices or a share like 10%'),
]);
export type DeviceCount = z.infer<typeof deviceCountSchema>;

/** Of a share, its percent; undefined of a number of devices. */
function percentOf(count: DeviceCount): number | undefined {
  return typeof count === 'number' ? undefined : Number.parseFloat(count);
}

/** What the wave should have been, where it was meant as an addition to the one before. */
function grown(before: DeviceCount, wave: DeviceCount): string {
  if (typeof before === 'number' && typeof wave === 'number') return `for ${wave} more devices write ${before + wave}`;
  const sum = (percentOf(before) ?? 100) + (percentOf(wave) ?? 0);
  return sum < 100 ? `for ${wave} more write ${Number(sum.toFixed(6))}%` : 'leave it out: the last wave is completed to all';
}

/**
 * Waves that certainly do not grow: a number of devices that is not above a number before it, a share that is not above a share
 * before it, anything after 100%. Which of `5` and `10%` is more depends on the fleet.
 */
export function waveFaults(waves: readonly DeviceCount[]): { index: number; message: string }[] {
  const most: { count?: DeviceCount; share?: DeviceCount } = {};
  return waves.flatMap((wave, index) => {
    const kind = typeof wave === 'number' ? 'count' : 'share';
    const all = percentOf(most.share ?? 0) === 100 ? most.share : undefined;
    const before = all ?? most[kind];
    const size = percentOf(wave) ?? Number(wave);
    const isMore = before === undefined || (all === undefined && size > (percentOf(before) ?? Number(before)));
    if (isMore) most[kind] = wave;
    if (isMore || before === undefined) return [];
    return [{ index, message: `must be more than ${before} before it, because sizes are cumulative; ${grown(before, wave)}` }];
  });
}

export const ROLLOUT_STRATEGIES = ['all-at-once', 'waves', 'shadow', 'split'] as const;

/** As it is kept; see `rolloutPolicyInputSchema` for what is taken. How a change of an InferenceModel reaches its devices. Everything has a default; without the block it is all at once, with no trial. */
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

/** A policy as it is asked for. */
export const rolloutPolicyInputSchema = rolloutPolicySchema.superRefine(({ waves }, ctx) => {
  for (const { index, message } of waveFaults(waves ?? [])) ctx.addIssue({ code: 'custom', path: ['waves', index], message });
});
