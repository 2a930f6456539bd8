import * as z from 'zod';

const share = z.number().min(0).max(1);

/**
 * What a new version must keep while it is on trial, on each device and over each wave. A rule that is absent is not checked,
 * except `crashes`, which is 0 by default. A rule whose value cannot be had (no sensor, no requests) neither passes nor fails.
 */
export const trialGatesSchema = z.strictObject({
  /** Most unwanted ends of its process; default 0. */
  crashes: z.int().min(0).max(1000).optional(),
  /** Most failed requests (status 500 and above, or none at all), as a share of all. */
  errorRate: share.optional(),
  /** Most that its p95 latency may be, in milliseconds. */
  p95Ms: z.number().gt(0).optional(),
  /** Most that its p95 latency may be, as a multiple of the previous version's on the same device. */
  p95Ratio: z.number().gt(0).max(1000).optional(),
  /** Most resident memory of its process, MiB. */
  rssMiB: z.number().gt(0).optional(),
  /** Most growth of its resident memory from the end of the warm-up to the end of the trial, MiB. */
  rssGrowthMiB: z.number().gt(0).optional(),
  /** Highest temperature of the device meanwhile, degrees Celsius. */
  temperatureC: z.number().min(-100).max(250).optional(),
  /** Most shift of the confidences of its results against the previous version's: the population-stability index over ten equal bins of 0..1. */
  confidencePsi: z.number().gt(0).optional(),
  /** Least share of inputs on which both versions give the same result; needs `shadow` (both see each input). */
  agreement: share.optional(),
  /** Least accuracy on the golden set. */
  goldenAccuracy: share.optional(),
  /** Most that the accuracy on the golden set may be below the previous version's on the same device. */
  goldenAccuracyDrop: share.optional(),
});
export type TrialGates = z.infer<typeof trialGatesSchema>;
export const TRIAL_GATE_NAMES = Object.keys(trialGatesSchema.shape) as (keyof TrialGates)[];
export const trialGateNameSchema = z.enum([
  'crashes',
  'errorRate',
  'p95Ms',
  'p95Ratio',
  'rssMiB',
  'rssGrowthMiB',
  'temperatureC',
  'confidencePsi',
  'agreement',
  'goldenAccuracy',
  'goldenAccuracyDrop',
]);

/** One gate with its numbers, as it stood when it was last looked at. */
export const trialCheckSchema = z.object({
  gate: z.string().max(64),
  /** null: there is nothing to measure it by yet. */
  value: z.number().nullable(),
  /** What the previous version has, where the gate compares. */
  baseline: z.number().nullable(),
  bar: z.number(),
  passed: z.boolean().nullable(),
  /** How many requests, samples or readings the value is made of. */
  samples: z.int().min(0),
});
export type TrialCheck = z.infer<typeof trialCheckSchema>;

/** How one version did beside another one on the same traffic. */
export const trialArmSchema = z.object({
  version: z.string().max(63),
  requests: z.int().min(0),
  errors: z.int().min(0),
  p50Ms: z.number().min(0).nullable(),
  p95Ms: z.number().min(0).nullable(),
  meanConfidence: z.number().min(0).max(1).nullable(),
});
export type TrialArm = z.infer<typeof trialArmSchema>;

/** Gates that want at least their bar; all others want at most theirs. */
export const AT_LEAST_GATES: ReadonlySet<string> = new Set<keyof TrialGates>(['agreement', 'goldenAccuracy']);

/** Reads `p95Ratio<=1.3` or `agreement>=0.95`; undefined when it is no gate, or the sign is the wrong one for it. */
export function parseTrialGate(text: string): { gate: keyof TrialGates; bar: number } | undefined {
  const [, name = '', sign = '', value = ''] = /^([A-Za-z0-9]+)(<=|>=)(\d+(?:\.\d+)?)$/.exec(text.replaceAll(' ', '')) ?? [];
  const gate = TRIAL_GATE_NAMES.find((one) => one === name);
  return gate === undefined || sign !== (AT_LEAST_GATES.has(gate) ? '>=' : '<=') ? undefined : { gate, bar: Number(value) };
}

/** The other way round. */
export function trialGateText(gate: string, bar: number): string {
  return `${gate}${AT_LEAST_GATES.has(gate) ? '>=' : '<='}${bar}`;
}
