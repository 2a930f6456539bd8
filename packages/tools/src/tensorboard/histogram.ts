import type { Histogram } from './event-message.ts';

/** As many as TensorBoard itself shows. */
const BUCKETS = 30;

/**
 * Counts finite values in buckets of equal width between the smallest and the largest.
 *
 * @returns undefined when there is no finite value.
 */
export function histogramOf(values: ArrayLike<number>): Histogram | undefined {
  let [min, max, num, sum, sumSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    num += 1;
    sum += value;
    sumSquares += value * value;
  }
  if (num === 0) return undefined;
  const width = (max - min) / BUCKETS;
  // All equal, or so near or so far apart that a width between them is no number.
  if (!(width > 0 && width < Number.POSITIVE_INFINITY)) return { min, max, num, sum, sumSquares, bucketLimit: [max], bucket: [num] };
  const bucket = new Array<number>(BUCKETS).fill(0);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value)) continue;
    const index = Math.min(BUCKETS - 1, Math.floor((value - min) / width));
    bucket[index] = (bucket[index] ?? 0) + 1;
  }
  const bucketLimit = bucket.map((_count, index) => (index === BUCKETS - 1 ? max : min + width * (index + 1)));
  return { min, max, num, sum, sumSquares, bucketLimit, bucket };
}
