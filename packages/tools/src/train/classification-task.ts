import { AppError, type TrainBlock } from '@selvedge/contract';
import type { Labels, Loss, LossSpec, Trainer } from '@selvedge/graph/train';
import { yieldToEvents } from '../kit/index.ts';
import type { SampleSource } from './sample-source.ts';
import type { TaskData, TrainingTask } from './training-task.ts';

/** Samples that are evaluated at once. */
const CHUNK = 256;

/** @throws AppError INPUT_INVALID (user) for weights of classes that there are not. */
export function classificationTask({ info, train }: TaskData, block: TrainBlock): TrainingTask {
  const { loss = 'cross-entropy', class_weights: weights, label_smoothing: labelSmoothing } = block;
  const classes = info.labels.length;
  const isPlain = weights === undefined && labelSmoothing === undefined;
  const weighted: LossSpec = {
    kind: 'cross-entropy',
    ...(weights === undefined ? {} : { classWeights: classWeights(weights, info.labels, train.labels) }),
    ...(labelSmoothing === undefined ? {} : { labelSmoothing }),
  };
  return {
    kind: 'classification',
    loss: isPlain ? loss : weighted,
    measuresTraining: true,
    labels: (indices) =>
      targetsFor(
        loss,
        indices.map((index) => train.labels[index] ?? 0),
        classes,
      ),
    measure: (trainer, source, indices, signal) => evaluateSamples(trainer, source, indices, { loss, classes, signal }),
  };
}

/**
 * One factor per class. `balanced`: samples / (classes * samples of the class), so that every class weighs the same in
 * an epoch; a class without samples has 1.
 */
function classWeights(
  wanted: Exclude<TrainBlock['class_weights'], undefined>,
  names: readonly string[],
  labels: Int32Array,
): readonly number[] {
  if (wanted === 'balanced') {
    const counts = names.map(() => 0);
    for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
    const present = counts.filter((count) => count > 0).length;
    return counts.map((count) => (count === 0 ? 1 : labels.length / (present * count)));
  }
  const unknown = Object.keys(wanted).filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new AppError('INPUT_INVALID', {
      message: 'train.class_weights names labels that the dataset does not have.',
      issues: unknown.map((name) => ({
        path: `train.class_weights.${name}`,
        message: `there is no such label; there are ${names.slice(0, 20).join(', ')}`,
      })),
    });
  }
  return names.map((name) => wanted[name] ?? 1);
}

/** What the loss is computed against: class indices for cross-entropy, else one value per class, 1 for the right one. */
function targetsFor(loss: Loss, labels: Int32Array, classes: number): Labels {
  if (loss === 'cross-entropy') return labels;
  const targets = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    targets[i * classes + label] = 1;
  });
  return targets;
}

/** @returns mean loss, and the share of samples whose largest output is that of their class. */
async function evaluateSamples(
  trainer: Trainer,
  source: SampleSource,
  indices: Int32Array,
  options: { loss: Loss; classes: number; signal: AbortSignal },
): Promise<{ loss: number; accuracy: number }> {
  const { loss, classes, signal } = options;
  let lossSum = 0;
  let right = 0;
  for (let at = 0; at < indices.length; at += CHUNK) {
    // A run holds up the event loop: let the API answer in between.
    await yieldToEvents(signal);
    const chunk = indices.subarray(at, at + CHUNK);
    const x = new Float32Array(chunk.length * source.sampleSize);
    await source.gather(chunk, x);
    const labels = chunk.map((index) => source.labels[index] ?? 0);
    const result = await trainer.evaluate({ x, y: targetsFor(loss, labels, classes) });
    lossSum += result.loss * chunk.length;
    right += (result.accuracy ?? accuracyOf(await trainer.predict(x), labels, classes)) * chunk.length;
  }
  return { loss: lossSum / indices.length, accuracy: right / indices.length };
}

function accuracyOf(outputs: Float32Array, labels: Int32Array, classes: number): number {
  let right = 0;
  labels.forEach((label, row) => {
    const scores = outputs.subarray(row * classes, (row + 1) * classes);
    if (scores.indexOf(Math.max(...scores)) === label) right += 1;
  });
  return right / labels.length;
}
