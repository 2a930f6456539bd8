import * as z from 'zod';
import { timestampSchema } from './common.ts';

/**
 * Views of a metric of an artifact, `/artifacts/{name}/metrics/{metric}/{view}`:
 *
 * points       JSON lines of metricPointSchema; `?after=N` skips the first N
 * latest       the last point as JSON; null when there is none
 * csv          `step,value,at` with a header line; `?after=N` as above
 * series       metricSeriesSchema; `?max=N` (3 to 100,000) chooses at most N points by largest triangle three buckets: real
 *              points, the first and the last among them, peaks kept
 * summary      metricSummarySchema; `?best=min` or `?best=max` says which way is better
 * tensorboard  a TensorBoard event file with every point as a scalar
 */
export const METRIC_VIEWS = ['points', 'latest', 'csv', 'series', 'summary', 'tensorboard'] as const;
export type MetricView = (typeof METRIC_VIEWS)[number];

/** Three columns of equal length, steps ascending. */
export const metricSeriesSchema = z.object({
  metric: z.string(),
  steps: z.array(z.number()),
  values: z.array(z.number()),
  times: z.array(timestampSchema),
});
export type MetricSeries = z.infer<typeof metricSeriesSchema>;

const stepValueSchema = z.object({ step: z.number(), value: z.number() });

/** What is best is the smallest value of losses and errors, times and distances, the largest of everything else, unless the request says. */
export const metricSummarySchema = z.object({
  metric: z.string(),
  count: z.int().min(1),
  min: stepValueSchema,
  max: stepValueSchema,
  mean: z.number(),
  last: stepValueSchema,
  best: stepValueSchema.extend({ is: z.enum(['min', 'max']) }),
});
export type MetricSummary = z.infer<typeof metricSummarySchema>;
