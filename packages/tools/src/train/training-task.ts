import type { TensorSet, TrainingKind } from '@selvedge/contract';
import type { FeatureStatistics, Model } from '@selvedge/graph/onnx';
import type { Labels, LossSpec, Trainer } from '@selvedge/graph/train';
import { yieldToEvents } from '../kit/index.ts';
import type { SampleSource } from './sample-source.ts';

/** What a task is made for: the training set that is there. */
export interface TaskData {
  readonly info: TensorSet;
  readonly train: SampleSource;
  readonly validation: SampleSource;
  /** Of the training split, where samples are rows of a table. */
  readonly features?: FeatureStatistics;
}

/** What is learnt, and how an epoch is measured. */
export interface TrainingTask {
  readonly kind: TrainingKind;
  readonly loss: LossSpec;
  /** Whether train/accuracy and the like are measured on a part of the training samples too. */
  readonly measuresTraining: boolean;
  /**
   * What the network shall say about the samples of a batch.
   *
   * @param indices - into the training split.
   * @param boxes - of those samples, after augmentation; empty where samples have a class.
   */
  labels(indices: Int32Array, boxes: readonly Float32Array[]): Labels;
  /** Metrics of samples by name: `accuracy`, `loss`, `map50`, ... */
  measure(trainer: Trainer, source: SampleSource, indices: Int32Array, signal: AbortSignal): Promise<Record<string, number>>;
}

export interface PlannedTask extends TrainingTask {
  /** With its first weights. */
  readonly model: Model;
}

/** Samples that are evaluated at once. */
const CHUNK = 64;

/** Calls `use` with the outputs of the model as it is, a chunk of samples at a time. */
export async function forEachOutput(
  trainer: Trainer,
  source: SampleSource,
  indices: Int32Array,
  signal: AbortSignal,
  use: (outputs: Float32Array, chunk: Int32Array, x: Float32Array) => Promise<void> | void,
): Promise<void> {
  for (let at = 0; at < indices.length; at += CHUNK) {
    // A run holds up the event loop: let the API answer in between.
    await yieldToEvents(signal);
    const chunk = indices.subarray(at, at + CHUNK);
    const x = new Float32Array(chunk.length * source.sampleSize);
    await source.gather(chunk, x);
    await use(await trainer.predict(x), chunk, x);
  }
}
