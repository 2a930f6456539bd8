import type { MetricPoint } from '@selvedge/contract';

const mean = (points: readonly MetricPoint[], of: (point: MetricPoint) => number): number =>
  points.reduce((sum, point) => sum + of(point), 0) / Math.max(1, points.length);

/**
 * At most `max` of the points, chosen by largest triangle three buckets: first and last stay, and from each bucket
 * between them the point that makes the largest triangle with the point chosen before it and the mean of the bucket
 * after it. Chosen points are real ones, and peaks stay.
 *
 * @param max - 3 or more.
 * @see S. Steinarsson, "Downsampling Time Series for Visual Representation", 2013, section 4.2
 */
export function downsample(points: readonly MetricPoint[], max: number): MetricPoint[] {
  const [first, last] = [points[0], points.at(-1)];
  if (points.length <= max || first === undefined || last === undefined) return [...points];
  const chosen = [first];
  const width = (points.length - 2) / (max - 2);
  const begin = (bucket: number): number => Math.floor(bucket * width) + 1;
  for (let bucket = 0; bucket < max - 2; bucket += 1) {
    const before = chosen.at(-1) ?? first;
    const after = bucket === max - 3 ? [last] : points.slice(begin(bucket + 1), begin(bucket + 2));
    const [meanStep, meanValue] = [mean(after, (point) => point.step), mean(after, (point) => point.value)];
    let [best, bestArea] = [points[begin(bucket)] ?? last, -1];
    for (const point of points.slice(begin(bucket), begin(bucket + 1))) {
      const area = Math.abs(
        (before.step - meanStep) * (point.value - before.value) - (before.step - point.step) * (meanValue - before.value),
      );
      if (area > bestArea) [best, bestArea] = [point, area];
    }
    chosen.push(best);
  }
  chosen.push(last);
  return chosen;
}
