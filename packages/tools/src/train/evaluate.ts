import type { Labels, Loss, Trainer } from '@selvedge/graph/train';
import { yieldToEvents } from '../kit/index.ts';
import type { SampleSource } from './sample-source.ts';

/** Samples that are evaluated at once. */
const CHUNK = 256;

export interface Scores {
  /** Mean over the samples. */
  readonly loss: number;
  /** Share of samples whose largest output is that of their class. */
  readonly accuracy: number;
}

/** What the loss is computed against: class indices for cross-entropy, else one value per class, 1 for the right one. */
export function targetsFor(loss: Loss, labels: Int32Array, classes: number): Labels {
  if (loss === 'cross-entropy') return labels;
  const targets = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    targets[i * classes + label] = 1;
  });
  return targets;
}

/** Evaluates the model as it is on the given samples. */
export async function evaluateSamples(
  trainer: Trainer,
  source: SampleSource,
  indices: Int32Array,
  options: { loss: Loss; classes: number; signal: AbortSignal },
): Promise<Scores> {
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
