import * as z from 'zod';
import { nameSchema, timestampSchema } from '../common.ts';

const counted = z.int().min(0);

/** How sure a model was, in ten equal bins of 0..1. */
const confidenceBinsSchema = z.array(counted).length(10);

/** What one version of a workload answered between two times. */
export const resultSummarySchema = z.object({
  /** Where the interval begins. */
  at: timestampSchema,
  spanS: z.number().min(0),
  workload: nameSchema,
  model: nameSchema,
  version: z.string().min(1).max(63),
  requests: counted,
  /** Answered with a status of 500 or above. */
  errors: counted,
  /** Of answered requests; null where none was, or where it is not counted. */
  p50Ms: z.number().min(0).nullable(),
  p95Ms: z.number().min(0).nullable(),
  /**
   * How often a latency was at most so many milliseconds, and above the bound before; null: above all bounds. A bound without counts is
   * left out, unless the next one has some.
   */
  latency: z.array(z.tuple([z.number().min(0).nullable(), counted])).max(128),
  /** Of the first result of each answer; null where it is not counted. */
  confidence: confidenceBinsSchema.nullable(),
  /** How often each class was the first result, the most frequent first; absent where it is not counted. */
  classes: z
    .array(z.tuple([z.string().max(128), counted]))
    .max(100)
    .optional(),
});
export type ResultSummary = z.infer<typeof resultSummarySchema>;
