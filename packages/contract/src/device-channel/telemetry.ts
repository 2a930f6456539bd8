import * as z from 'zod';
import { timestampSchema } from '../common.ts';
import { resultSummarySchema } from './results.ts';
import { upkeepSchema } from './upkeep.ts';

const share = z.number().min(0).max(1);
const extremes = z.object({
  cpu: share.nullable(),
  memoryUsedBytes: z.number().min(0).nullable(),
  diskUsedBytes: z.number().min(0).nullable(),
  temperatureC: z.number().min(-100).max(250).nullable(),
  agentRssBytes: z.number().min(0).nullable(),
});
export type SampleExtremes = z.infer<typeof extremes>;
export const sampleSummarySchema = z.object({
  /** Samples that it stands for. */
  count: z.int().min(1),
  /** From the first of them to the last. */
  spanS: z.number().min(0),
  min: extremes,
  max: extremes,
});
export type SampleSummary = z.infer<typeof sampleSummarySchema>;

/** Null where the device has no such sensor. */
export const telemetrySampleSchema = z.object({
  at: timestampSchema,
  /** Busy share of all cores, 0..1. */
  cpu: share.nullable(),
  memoryUsedBytes: z.number().min(0).nullable(),
  memoryTotalBytes: z.number().min(0).nullable(),
  diskUsedBytes: z.number().min(0).nullable(),
  diskTotalBytes: z.number().min(0).nullable(),
  temperatureC: z.number().min(-100).max(250).nullable(),
  /** Since boot, all interfaces but loopback. */
  networkRxBytes: z.number().min(0).nullable(),
  networkTxBytes: z.number().min(0).nullable(),
  /** Resident memory of the agent process itself. */
  agentRssBytes: z.number().min(0).nullable(),
  /** There when it stands for several: the values above are then their means (of network counters the last), `at` is that of the first. */
  summary: sampleSummarySchema.optional(),
});
export type TelemetrySample = z.infer<typeof telemetrySampleSchema>;

const sequence = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const numbered = { sequence: sequence.optional() };

/** Where a batch stands in what a device has kept to send. */
export const spoolRangeSchema = z.object({
  /** New whenever numbering begins anew. */
  id: z.string().min(1).max(64),
  first: sequence,
  last: sequence,
  /** Records that wait behind this batch. */
  waiting: z.int().min(0),
});
export type SpoolRange = z.infer<typeof spoolRangeSchema>;

export const telemetryBatchSchema = z.object({
  v: z.literal(1),
  /** With `spool` each has its `sequence`; may be empty then. */
  samples: z.array(telemetrySampleSchema.extend(numbered)).max(1000),
  results: z.array(resultSummarySchema.extend(numbered)).max(1000).optional(),
  /** Numbers that the batch settles: of each, the server takes what it has under this number once. Absent from agents that number nothing. */
  spool: spoolRangeSchema.optional(),
  upkeep: upkeepSchema.optional(),
});
export type TelemetryBatch = z.infer<typeof telemetryBatchSchema>;
