import { createRandom, shuffle } from '../onnx/index.ts';

export interface EpochSpec {
  /** Samples in the training set; at least 1. */
  readonly count: number;
  readonly batchSize: number;
  readonly seed: number;
  /** From 0; each epoch has an order of its own. */
  readonly epoch: number;
}

/** Steps of one epoch: a last incomplete batch counts. */
export function batchesPerEpoch(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/**
 * Sample indices, batch by batch, in an order that depends on seed and epoch alone. Every sample comes at least once;
 * the last batch is filled up from the start of the same order, because a training graph has one batch size.
 */
export function* epochBatches({ count, batchSize, seed, epoch }: EpochSpec): Generator<Int32Array, void, undefined> {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  shuffle(order, createRandom(seed, epoch));
  for (let start = 0; start < count; start += batchSize) {
    yield Int32Array.from({ length: batchSize }, (_, i) => order[(start + i) % count] ?? 0);
  }
}
