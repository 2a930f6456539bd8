import { type Histogram, quantile } from './histogram.ts';

/** How often a latency was at most so many milliseconds, and above the bound before; null: above all. As in a result summary. */
export type LatencyCounts = [number | null, number][];

/** Without the empty bins, except those before a filled one: they say where that begins. */
export function latencyCounts(histogram: Histogram | null): LatencyCounts {
  if (histogram === null) return [];
  const { bounds, counts } = histogram;
  return counts.flatMap((count, index): LatencyCounts => {
    const isNeeded = count > 0 || (counts[index + 1] ?? 0) > 0;
    return isNeeded ? [[rounded(bounds[index]), Math.round(count)]] : [];
  });
}

/** Of a program that counts in seconds they come with an error of the last digit. */
function rounded(bound: number | undefined): number | null {
  return bound === undefined ? null : Number(bound.toPrecision(6));
}

const order = (bound: number | null) => bound ?? Number.POSITIVE_INFINITY;

export function addLatencies(a: LatencyCounts, b: LatencyCounts): LatencyCounts {
  const counts = new Map(a);
  for (const [bound, count] of b) counts.set(bound, (counts.get(bound) ?? 0) + count);
  return [...counts].toSorted(([x], [y]) => order(x) - order(y));
}

/** See `quantile` of a histogram. */
export function latencyQuantile(latency: LatencyCounts, share: number): number | null {
  const bounds = latency.flatMap(([bound]) => bound ?? []);
  const counts = latency.map(([, count]) => count);
  // Nothing lies above the last bound when that bin is left out.
  const value = quantile({ bounds, counts: counts.length === bounds.length ? [...counts, 0] : counts }, share);
  return value === null ? null : Number(value.toPrecision(4));
}
