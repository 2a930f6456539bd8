import { type TrialReport, timestampSchema, trialArmSchema, trialCheckSchema, trialModeSchema } from '@selvedge/contract';
import * as z from 'zod';
import { meanConfidence, quantile, type Traffic, trafficSchema } from './histogram.ts';

/** What is kept of a trial, also over restarts of the agent: its place in the plan, what was observed, and the verdict. */
export const trialRecordSchema = z.object({
  id: z.string().max(128),
  version: z.string().max(63),
  key: z.string().max(80),
  stable: z.string().max(80).nullable(),
  /** Its version, for the arms. */
  stableVersion: z.string().max(63).nullable(),
  mode: trialModeSchema,
  phase: z.enum(['preparing', 'ready', 'running', 'passed', 'failed']),
  startedAt: timestampSchema,
  finishedAt: timestampSchema.nullable(),
  /** How long it was watched; a clock that is set does not count. */
  watchedMs: z.number().min(0),
  crashes: z.int().min(0),
  candidate: trafficSchema,
  previous: trafficSchema.nullable(),
  golden: z.object({ samples: z.number(), accuracy: z.number(), previousAccuracy: z.number().nullable() }).nullable(),
  agreement: z.object({ compared: z.number(), same: z.number() }).nullable(),
  temperature: z.object({ readings: z.number(), highestC: z.number().nullable() }),
  checks: z.array(trialCheckSchema).max(32),
  arms: z.array(trialArmSchema).max(2),
  failure: z.object({ code: z.string(), message: z.string().max(4096) }).nullable(),
  revertedInMs: z.number().min(0).nullable(),
});
export type TrialRecord = z.infer<typeof trialRecordSchema>;

/** One arm with its numbers. */
export function armOf(version: string, traffic: Traffic): TrialRecord['arms'][number] {
  const at = (share: number) => (traffic.latencyMs === null ? null : quantile(traffic.latencyMs, share));
  return {
    version,
    requests: traffic.requests,
    errors: traffic.errors,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    meanConfidence: meanConfidence(traffic),
  };
}

/** What the server is told of it. */
export function trialReportOf(record: TrialRecord): TrialReport {
  const { id, version, phase, startedAt, finishedAt, checks, arms, failure, revertedInMs } = record;
  const state = phase === 'ready' ? 'preparing' : phase;
  return { id, version, state, startedAt, finishedAt, checks, arms, failure, revertedInMs };
}
