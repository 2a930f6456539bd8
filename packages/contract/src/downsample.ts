/** A curve in columns: as many values as steps, in order of step. */
export interface Curve {
  readonly steps: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/**
 * The indices of at most `max` points of a curve, chosen by largest triangle three buckets: first and last stay, and from each
 * bucket between them the point that makes the largest triangle with the point chosen before it and the mean of the bucket
 * after it. Peaks stay.
 *
 * @param max - 3 or more.
 * @see S. Steinarsson, "Downsampling Time Series for Visual Representation", 2013, section 4.2
 */
export function downsample({ steps, values }: Curve, max: number): number[] {
  const count = steps.length;
  if (count <= max) return Array.from({ length: count }, (_, index) => index);
  const stepAt = (index: number) => steps[index] ?? 0;
  const valueAt = (index: number) => values[index] ?? 0;
  const last = count - 1;
  const width = (count - 2) / (max - 2);
  const begin = (bucket: number): number => Math.floor(bucket * width) + 1;
  const chosen = [0];
  let before = 0;
  for (let bucket = 0; bucket < max - 2; bucket += 1) {
    const [from, to] = [begin(bucket), begin(bucket + 1)];
    const end = bucket === max - 3 ? count : begin(bucket + 2);
    const [meanStep, meanValue] = [meanOf(steps, to, end), meanOf(values, to, end)];
    let [best, bestArea] = [from, -1];
    for (let index = from; index < to; index += 1) {
      const area = Math.abs(
        (stepAt(before) - meanStep) * (valueAt(index) - valueAt(before)) - (stepAt(before) - stepAt(index)) * (meanValue - valueAt(before)),
      );
      if (area > bestArea) [best, bestArea] = [index, area];
    }
    chosen.push(best);
    before = best;
  }
  return [...chosen, last];
}

function meanOf(numbers: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let index = from; index < to; index += 1) sum += numbers[index] ?? 0;
  return sum / Math.max(1, to - from);
}
