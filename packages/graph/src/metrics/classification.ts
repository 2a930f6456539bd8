import { AppError } from '@selvedge/contract';

export interface ClassificationInput {
  /** Probabilities, one row of `classes` per sample; each row adds up to 1. */
  readonly probabilities: Float32Array;
  /** Class of each sample; 0..classes-1. */
  readonly labels: ArrayLike<number>;
  readonly classes: number;
}

/** How well one class is told from the others; a ratio without cases is 0. */
export interface ClassScores {
  /** Samples of the class. */
  readonly support: number;
  /** Right ones among those that were called so. */
  readonly precision: number;
  /** Those called so among the right ones. */
  readonly recall: number;
  readonly f1: number;
  /** Probability that a sample of the class scores higher than one of the others; null unless there are both. */
  readonly rocAuc: number | null;
}

export interface ClassificationMetrics {
  readonly accuracy: number;
  /** Means over the classes that have samples or were predicted. */
  readonly macro: { readonly precision: number; readonly recall: number; readonly f1: number };
  /** Over all decisions; with one class per sample all three are the accuracy. */
  readonly micro: { readonly precision: number; readonly recall: number; readonly f1: number };
  /** Mean over the classes where it is defined; null where there is none. */
  readonly rocAuc: number | null;
  /** Expected calibration error, 0..1. */
  readonly calibrationError: number;
  /** `confusion[label][predicted]`: number of samples. */
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: readonly ClassScores[];
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
const mean = (values: readonly number[]): number =>
  ratio(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  );
const harmonic = (a: number, b: number): number => ratio(2 * a * b, a + b);

function check({ probabilities, labels, classes }: ClassificationInput): void {
  if (classes < 1 || labels.length < 1 || probabilities.length !== labels.length * classes) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `${labels.length} samples of ${classes} classes need ${labels.length * classes} probabilities; there are ${probabilities.length}.`,
    });
  }
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] ?? -1;
    if (!Number.isInteger(label) || label < 0 || label >= classes)
      throw new AppError('INPUT_INVALID', { message: `Label ${label} (sample ${i}) is outside 0..${classes - 1}.` });
  }
}

/** The most probable class of each sample; of equal ones the first. */
function predictions({ probabilities, labels, classes }: ClassificationInput): Int32Array {
  return Int32Array.from({ length: labels.length }, (_, row) => {
    let best = 0;
    for (let c = 1; c < classes; c++) if ((probabilities[row * classes + c] ?? 0) > (probabilities[row * classes + best] ?? 0)) best = c;
    return best;
  });
}

/**
 * Area under the receiver operating characteristic: the probability that a positive scores higher than a negative, equal
 * scores counting half (Mann and Whitney 1947).
 *
 * @returns 0..1, or null unless there are positives and negatives.
 */
export function rocAuc(scores: ArrayLike<number>, isPositive: (sample: number) => boolean): number | null {
  const order = Int32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  let positives = 0;
  let rankSum = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && scores[order[end] ?? 0] === scores[order[start] ?? 0]) end++;
    // Equal scores share the mean of their ranks, which count from 1.
    const rank = (start + 1 + end) / 2;
    for (let i = start; i < end; i++) {
      if (!isPositive(order[i] ?? 0)) continue;
      positives += 1;
      rankSum += rank;
    }
    start = end;
  }
  const negatives = scores.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/**
 * How far the confidence of predictions is from their accuracy: mean over equally wide bins of the largest probability,
 * weighted by the samples in them (Guo et al. 2017).
 *
 * @param bins - (i / bins, (i + 1) / bins] each; default 15.
 */
export function calibrationError(confidences: ArrayLike<number>, isRight: (sample: number) => boolean, bins = 15): number {
  const counts = new Float64Array(bins);
  const gaps = new Float64Array(bins);
  for (let i = 0; i < confidences.length; i++) {
    const confidence = confidences[i] ?? 0;
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(confidence * bins) - 1));
    counts[bin] = (counts[bin] ?? 0) + 1;
    gaps[bin] = (gaps[bin] ?? 0) + confidence - (isRight(i) ? 1 : 0);
  }
  return ratio(
    gaps.reduce((sum, gap) => sum + Math.abs(gap), 0),
    confidences.length,
  );
}

function confusionOf(labels: ArrayLike<number>, predicted: Int32Array, classes: number): number[][] {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  predicted.forEach((guess, i) => {
    const row = confusion[labels[i] ?? 0];
    if (row) row[guess] = (row[guess] ?? 0) + 1;
  });
  return confusion;
}

function scoresOf(input: ClassificationInput, confusion: readonly (readonly number[])[], c: number): ClassScores & { predicted: number } {
  const { probabilities, labels, classes } = input;
  const right = confusion[c]?.[c] ?? 0;
  const support = confusion[c]?.reduce((sum, count) => sum + count, 0) ?? 0;
  const predicted = confusion.reduce((sum, row) => sum + (row[c] ?? 0), 0);
  const [precision, recall] = [ratio(right, predicted), ratio(right, support)];
  const scores = Float32Array.from({ length: labels.length }, (_, i) => probabilities[i * classes + c] ?? 0);
  const auc = rocAuc(scores, (i) => labels[i] === c);
  return { support, predicted, precision, recall, f1: harmonic(precision, recall), rocAuc: auc };
}

/**
 * Everything that a classification report shows.
 *
 * @throws AppError SHAPE_MISMATCH when lengths do not fit or there are no samples; INPUT_INVALID for a label out of range.
 */
export function classificationMetrics(input: ClassificationInput): ClassificationMetrics {
  check(input);
  const { probabilities, labels, classes } = input;
  const predicted = predictions(input);
  const confusion = confusionOf(labels, predicted, classes);
  const scores = Array.from({ length: classes }, (_, c) => scoresOf(input, confusion, c));
  const present = scores.filter((score) => score.support > 0 || score.predicted > 0);
  const macro = (key: 'precision' | 'recall' | 'f1') => mean(present.map((score) => score[key]));
  const accuracy = ratio(
    confusion.reduce((sum, row, c) => sum + (row[c] ?? 0), 0),
    labels.length,
  );
  const areas = scores.flatMap((score) => score.rocAuc ?? []);
  return {
    accuracy,
    macro: { precision: macro('precision'), recall: macro('recall'), f1: macro('f1') },
    micro: { precision: accuracy, recall: accuracy, f1: accuracy },
    rocAuc: areas.length > 0 ? mean(areas) : null,
    calibrationError: calibrationError(
      Float32Array.from(predicted, (c, i) => probabilities[i * classes + c] ?? 0),
      (i) => predicted[i] === labels[i],
    ),
    confusion,
    perClass: scores.map(({ predicted: _, ...score }) => score),
  };
}
