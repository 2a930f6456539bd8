import * as z from 'zod';

const counts = z.array(z.number().min(0)).max(256);

/** How often values fell between bounds that grow; the last count is of those above the last bound. */
const histogramSchema = z.object({ bounds: z.array(z.number()).max(255), counts });
export type Histogram = z.infer<typeof histogramSchema>;

/** Equal bins of 0..1 that confidences are counted in. */
export const CONFIDENCE_BINS = 10;

/** Classes whose results are counted; of a model with more, those that came first. */
export const MAX_COUNTED_CLASSES = 100;

/** Upper bounds of latencies, milliseconds: ten a decade, so that a percentile read from them is within 13 %. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from({ length: 46 }, (_, index) =>
  Number((10 ** ((index - 3) / 10)).toPrecision(2)),
);

/** What one version answered, counted. */
export const trafficSchema = z.object({
  requests: z.number().min(0),
  errors: z.number().min(0),
  /** Of answered requests, milliseconds; null: not known. */
  latencyMs: histogramSchema.nullable(),
  /** Of the top results; null: not known. */
  confidence: counts.length(CONFIDENCE_BINS).nullable(),
  confidenceSum: z.number().min(0),
});
export type Traffic = z.infer<typeof trafficSchema>;

export const NO_TRAFFIC: Traffic = { requests: 0, errors: 0, latencyMs: null, confidence: null, confidenceSum: 0 };

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

export function emptyHistogram(bounds: readonly number[]): Histogram {
  return { bounds: [...bounds], counts: Array.from({ length: bounds.length + 1 }, () => 0) };
}

/** Counts one value, in place. */
export function count(histogram: Histogram, value: number): void {
  const found = histogram.bounds.findIndex((bound) => value <= bound);
  const index = found === -1 ? histogram.bounds.length : found;
  histogram.counts[index] = (histogram.counts[index] ?? 0) + 1;
}

/** Bin of a confidence; those outside 0..1 count to the bin at that end. */
export function confidenceBin(confidence: number): number {
  return Math.min(CONFIDENCE_BINS - 1, Math.max(0, Math.floor(confidence * CONFIDENCE_BINS)));
}

/**
 * The value below which a share of all counted ones lies, linear between the bounds of its bin.
 *
 * @param share - 0..1.
 * @returns null when nothing was counted; the last bound when it lies above that.
 */
export function quantile({ bounds, counts: bins }: Histogram, share: number): number | null {
  const all = total(bins);
  if (all === 0) return null;
  let below = 0;
  for (const [index, bin] of bins.entries()) {
    const upper = bounds[index];
    if (upper === undefined) break;
    if (bin > 0 && below + bin >= share * all) {
      const lower = bounds[index - 1] ?? 0;
      return lower + (upper - lower) * Math.max(0, (share * all - below) / bin);
    }
    below += bin;
  }
  return bounds.at(-1) ?? null;
}

function combine(first: readonly number[], second: readonly number[], by: (a: number, b: number) => number): number[] {
  return first.map((value, index) => by(value, second[index] ?? 0));
}

function merge(a: Traffic, b: Traffic, by: (a: number, b: number) => number): Traffic {
  const latency = () => {
    if (a.latencyMs === null || b.latencyMs === null) return a.latencyMs ?? b.latencyMs;
    // Other bounds are those of another program: what it counted before cannot be put together with this.
    if (a.latencyMs.bounds.join() !== b.latencyMs.bounds.join()) return a.latencyMs;
    return { bounds: a.latencyMs.bounds, counts: combine(a.latencyMs.counts, b.latencyMs.counts, by) };
  };
  return {
    requests: by(a.requests, b.requests),
    errors: by(a.errors, b.errors),
    latencyMs: latency(),
    confidence: a.confidence === null || b.confidence === null ? (a.confidence ?? b.confidence) : combine(a.confidence, b.confidence, by),
    confidenceSum: by(a.confidenceSum, b.confidenceSum),
  };
}

export function addTraffic(sum: Traffic, more: Traffic): Traffic {
  return merge(more, sum, (a, b) => a + b);
}

/** What was counted between two readings of counters. Lower counters than before are those of a new process: all of it is new. */
export function trafficSince(before: Traffic, now: Traffic): Traffic {
  const counted = (traffic: Traffic) => [traffic.requests, traffic.errors, total(traffic.latencyMs?.counts ?? [])];
  const isNew = counted(now).some((value, index) => value < (counted(before)[index] ?? 0));
  return isNew ? now : merge(now, before, (a, b) => Math.max(0, a - b));
}

/** Null when there are no confidences. */
export function meanConfidence(traffic: Traffic): number | null {
  const known = total(traffic.confidence ?? []);
  return known === 0 ? null : Math.min(1, traffic.confidenceSum / known);
}
