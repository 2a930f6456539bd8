import type { Range } from './affine.ts';

/** Smallest and largest of all values seen. */
export class RunningRange {
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;

  /** @returns the index of the first value that is not finite; -1 when all are. */
  add(values: Float32Array): number {
    let { min, max } = this;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0;
      if (value < min) min = value;
      if (value > max) max = value;
      // Infinity - Infinity and NaN - NaN are NaN.
      if (value - value !== 0) return i;
    }
    this.min = min;
    this.max = max;
    return -1;
  }

  /** The range; [0, 0] when no value was seen. */
  range(): Range {
    return this.min <= this.max ? { min: this.min, max: this.max } : { min: 0, max: 0 };
  }
}

/** Counts of values in bins of equal width between two bounds; values outside count in the outermost bins. */
export class Histogram {
  readonly low: number;
  readonly width: number;
  /** Counts are whole numbers below 2^53. */
  readonly counts: Float64Array;

  constructor(range: Range, bins: number) {
    this.low = range.min;
    this.width = range.max / bins - range.min / bins;
    this.counts = new Float64Array(bins);
  }

  add(values: Float32Array): void {
    const { counts, low, width } = this;
    const last = counts.length - 1;
    for (let i = 0; i < values.length; i++) {
      // All values are the same where the width is 0.
      const bin = width > 0 ? Math.floor(((values[i] ?? 0) - low) / width) : 0;
      const index = Math.max(0, Math.min(bin, last));
      counts[index] = (counts[index] ?? 0) + 1;
    }
  }

  /** Counts absolute values, without exact zeros: zero has a step of its own and says nothing about the others. */
  addMagnitudes(values: Float32Array): void {
    const { counts, width } = this;
    const last = counts.length - 1;
    for (let i = 0; i < values.length; i++) {
      const magnitude = Math.abs(values[i] ?? 0);
      if (magnitude === 0) continue;
      const index = Math.min(Math.floor(magnitude / width), last);
      counts[index] = (counts[index] ?? 0) + 1;
    }
  }
}

/**
 * The range that holds a share of all values: half of the rest may lie below it, half above.
 *
 * @param histogram - over `full`.
 * @param percentile - in percent, above 50 up to 100.
 * @returns a range within `full`, to a bin's width on the wide side.
 */
export function percentileRange(histogram: Histogram, full: Range, percentile: number): Range {
  const { counts, low, width } = histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const allowed = (total * (1 - percentile / 100)) / 2;
  const firstKept = (at: (i: number) => number): number => {
    let cut = 0;
    for (let i = 0; i < counts.length; i++) {
      cut += counts[at(i)] ?? 0;
      if (cut > allowed) return i;
    }
    return 0;
  };
  const below = firstKept((i) => i);
  const above = firstKept((i) => counts.length - 1 - i);
  return {
    min: below === 0 ? full.min : Math.max(full.min, low + below * width),
    max: above === 0 ? full.max : Math.min(full.max, low + (counts.length - above) * width),
  };
}

/** Running sums that give the divergence of any cut without going through its bins again. */
function prefixSums(counts: Float64Array): { total: Float64Array; filled: Float64Array; entropy: Float64Array } {
  const total = new Float64Array(counts.length + 1);
  const filled = new Float64Array(counts.length + 1);
  const entropy = new Float64Array(counts.length + 1);
  for (const [i, count] of counts.entries()) {
    total[i + 1] = (total[i] ?? 0) + count;
    filled[i + 1] = (filled[i] ?? 0) + (count > 0 ? 1 : 0);
    entropy[i + 1] = (entropy[i] ?? 0) + (count > 0 ? count * Math.log(count) : 0);
  }
  return { total, filled, entropy };
}

/** What the candidate gives at least to the bin that takes the cut-off values, as a share of all: no logarithm of 0. */
const LEAST_SHARE = 1e-4;

type Sums = ReturnType<typeof prefixSums>;

/** Divergence of Kullback and Leibler between the counts up to `cut` and what `levels` steps make of them. */
function divergenceAt(cut: number, levels: number, { total, filled, entropy }: Sums): number {
  const all = total.at(-1) ?? 0;
  const kept = total[cut] ?? 0;
  const beyond = all - kept;
  const last = kept - (total[cut - 1] ?? 0);
  let cross = 0;
  let share = 0;
  for (let level = 0, from = 0; level < levels; level++) {
    const to = Math.floor(((level + 1) * cut) / levels);
    const count = (total[to] ?? 0) - (total[from] ?? 0);
    // The reference fills the last bin with what lies beyond.
    const extra = to === cut && last === 0 ? 1 : 0;
    share = count > 0 ? Math.log(count / ((filled[to] ?? 0) - (filled[from] ?? 0) + extra)) : Math.log(LEAST_SHARE * kept);
    if (count > 0) cross += count * share;
    from = to;
  }
  const own = (entropy[cut - 1] ?? 0) + (last + beyond) * Math.log(last + beyond);
  return (own - cross - beyond * share) / all - Math.log(all) + Math.log(kept);
}

/**
 * How many bins to keep so that the values, cut off there and rounded to `levels` steps, differ least from the values as
 * they were, in the sense of Kullback and Leibler.
 *
 * The reference is the counts up to the cut with everything beyond it in the last bin; the candidate gives each step's
 * count evenly to the bins of the step that the reference fills.
 *
 * @returns levels..counts.length; all bins when nothing was counted.
 * @see Szymon Migacz, "8-bit inference with TensorRT", GPU Technology Conference 2017
 */
export function entropyCut(counts: Float64Array, levels: number): number {
  const sums = prefixSums(counts);
  let best = counts.length;
  let least = Number.POSITIVE_INFINITY;
  for (let cut = levels; cut <= counts.length; cut++) {
    if ((sums.total[cut] ?? 0) === 0) continue;
    const divergence = divergenceAt(cut, levels, sums);
    if (divergence <= least) {
      least = divergence;
      best = cut;
    }
  }
  return best;
}

/**
 * The range that `entropyCut` chooses. A tensor with values on both sides of zero has 128 steps for magnitudes, one
 * with values on one side has all 256.
 *
 * @param magnitudes - counts of absolute values from 0 to the largest in `full`.
 * @returns a range within `full`.
 */
export function entropyRange(magnitudes: Histogram, full: Range): Range {
  const levels = full.min < 0 && full.max > 0 ? 128 : 256;
  const cut = entropyCut(magnitudes.counts, levels);
  if (cut === magnitudes.counts.length) return full;
  const limit = cut * magnitudes.width;
  return { min: Math.max(full.min, -limit), max: Math.min(full.max, limit) };
}
