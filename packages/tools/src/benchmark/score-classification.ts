import { AppError, type BenchmarkReport } from '@selvedge/contract';
import { type ClassificationMetrics, classificationMetrics } from '@selvedge/graph/metrics';
import { sigmoid, softmax } from '@selvedge/graph/ops';
import { MAX_MISTAKES, type Mistake, type ScoreOptions, type Scores, WorstOf } from './scores.ts';

/** With more classes the matrix is left out of the report: it grows with their square. */
const MAX_CONFUSION_CLASSES = 200;
const CALIBRATION_BINS = 15;

interface Classified {
  readonly probabilities: Float32Array;
  readonly labels: Int32Array;
  readonly loss: number;
}

/** @throws AppError SHAPE_MISMATCH when the model does not give one score per label. */
export async function scoreClassification(options: ScoreOptions): Promise<Scores> {
  const { labels: names } = options;
  const classified = await classify(options);
  const scores = classificationMetrics({ ...classified, classes: names.length });
  const { accuracy, macro, micro, rocAuc, calibrationError } = scores;
  return {
    kind: 'classification',
    metrics: {
      accuracy,
      f1: macro.f1,
      precision: macro.precision,
      recall: macro.recall,
      microF1: micro.f1,
      microPrecision: micro.precision,
      microRecall: micro.recall,
      ...(rocAuc === null ? {} : { rocAuc }),
      ece: calibrationError,
      loss: classified.loss,
    },
    perClass: scores.perClass.map((one, i) => ({ label: names[i] ?? String(i), ...one })),
    confusion: names.length > MAX_CONFUSION_CLASSES ? [] : scores.confusion.map((row) => [...row]),
    calibration: calibrationOf(classified, names.length),
    mistakes: mistakesOf(classified, names),
    notes: notesOf(scores),
  };
}

function notesOf({ rocAuc }: ClassificationMetrics): string[] {
  return [
    'f1, precision and recall are means over the classes (macro); the micro ones are over all samples.',
    rocAuc === null
      ? 'There is no ROC-AUC: all samples are of one class.'
      : 'ROC-AUC: each class against the others, mean over the classes.',
    `ece: expected calibration error over ${CALIBRATION_BINS} bins of equal width.`,
  ];
}

async function classify({ runner, labels: names, postproc, ...batches }: ScoreOptions): Promise<Classified> {
  const labels = await batches.test.readLabels();
  const classes = names.length;
  const probabilities = new Float32Array(labels.length * classes);
  let loss = 0;
  await runner.forEach(batches, (sample, values, shape) => {
    if (values.length !== classes) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `The model gives [${shape.join(', ')}] per sample; expected one score for each of ${classes} labels.`,
      });
    }
    loss += crossEntropy(values, labels[sample] ?? 0);
    probabilities.set(probabilitiesOf(values, postproc?.pipeline.includes('sigmoid') === true), sample * classes);
  });
  return { probabilities, labels, loss: loss / labels.length };
}

function areProbabilities(scores: Float32Array): boolean {
  const sum = scores.reduce((total, score) => total + score, 0);
  return Math.abs(sum - 1) < 1e-4 && scores.every((value) => value >= 0);
}

function probabilitiesOf(scores: Float32Array, isSigmoid: boolean): Float32Array {
  if (isSigmoid) return sigmoid(scores);
  return areProbabilities(scores) ? scores : softmax(scores);
}

/** Of softmax(scores); scores that are probabilities already are taken as they are. */
function crossEntropy(scores: Float32Array, label: number): number {
  const score = scores[label] ?? 0;
  if (areProbabilities(scores)) return -Math.log(Math.max(score, 1e-30));
  const top = Math.max(...scores);
  return top + Math.log(scores.reduce((total, value) => total + Math.exp(value - top), 0)) - score;
}

/** The most probable class of a sample, of equal ones the first, and its probability. */
function bestOf(probabilities: Float32Array, sample: number, classes: number): { index: number; confidence: number } {
  let index = 0;
  const at = sample * classes;
  for (let c = 1; c < classes; c += 1) if ((probabilities[at + c] ?? 0) > (probabilities[at + index] ?? 0)) index = c;
  return { index, confidence: probabilities[at + index] ?? 0 };
}

function calibrationOf({ probabilities, labels }: Classified, classes: number): NonNullable<BenchmarkReport['calibration']> {
  const bins = Array.from({ length: CALIBRATION_BINS }, () => ({ samples: 0, confidence: 0, right: 0 }));
  labels.forEach((label, sample) => {
    const { index, confidence } = bestOf(probabilities, sample, classes);
    const bin = bins[Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.ceil(confidence * CALIBRATION_BINS) - 1))];
    if (bin === undefined) return;
    bin.samples += 1;
    bin.confidence += confidence;
    bin.right += index === label ? 1 : 0;
  });
  return bins.map(({ samples, confidence, right }, i) => ({
    from: i / CALIBRATION_BINS,
    to: (i + 1) / CALIBRATION_BINS,
    samples,
    confidence: samples === 0 ? 0 : confidence / samples,
    accuracy: samples === 0 ? 0 : right / samples,
  }));
}

/** The wrong samples of which the model was surest, by how much less it gave to the right class. */
function mistakesOf({ probabilities, labels }: Classified, names: readonly string[]): Mistake[] {
  const worst = new WorstOf<Mistake>(MAX_MISTAKES);
  labels.forEach((label, sample) => {
    const { index, confidence } = bestOf(probabilities, sample, names.length);
    if (index === label) return;
    const badness = confidence - (probabilities[sample * names.length + label] ?? 0);
    worst.offer(badness, () => ({ sample, actual: names[label] ?? '', predicted: names[index] ?? '', confidence }));
  });
  return worst.values;
}
