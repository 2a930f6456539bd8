import { join } from 'node:path';
import { AppError, type PostprocSpec, type TensorSet } from '@selvedge/contract';
import type { Feeds } from '@selvedge/graph/quantise';
import type { Tensor } from '@selvedge/graph/session';
import { sha256File } from '@selvedge/runtime';
import { scoreModel } from '../benchmark/benchmark-model.ts';
import { openSplit, readTensorSetInfo, type SplitReader } from '../tensor-set/tensor-set-reader.ts';

const BATCH = 16;

/** How a detector's boxes are told apart where only two precisions of it are compared. */
const DETECTOR_POSTPROC: PostprocSpec = { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.25 } } };

/** Of classifiers, detectors and embeddings: one of them is what a kind of model is judged by. */
const MAIN_METRICS = ['accuracy', 'mAP@50', 'rank1'] as const;

/** How well a model does: 0..1, more is better. */
export interface Score {
  readonly metric: (typeof MAIN_METRICS)[number];
  readonly value: number;
}

/** Batches of calibration samples; each iteration begins anew. */
export interface SampleBatches extends AsyncIterable<Feeds> {
  readonly count: number;
}

/** Reads the splits of a training set for calibration and scoring. */
export class BuildSamples {
  readonly #info: TensorSet;
  readonly #train: SplitReader;
  readonly #test: SplitReader | undefined;
  readonly #folder: string;

  constructor(folder: string, info: TensorSet, train: SplitReader, test: SplitReader | undefined) {
    this.#folder = folder;
    this.#info = info;
    this.#train = train;
    this.#test = test;
  }

  get hasTest(): boolean {
    return this.#test !== undefined && this.#test.count > 0;
  }

  /** Every n-th training sample, so that all classes are seen whatever their order. */
  calibration(inputName: string, wanted: number, fixedBatch: number | null): SampleBatches {
    const train = this.#train;
    const count = Math.min(wanted, train.count);
    const size = fixedBatch ?? BATCH;
    const dims = this.#info.sampleShape;
    const rows = Array.from({ length: count }, (_, i) => Math.floor((i * train.count) / count));
    return {
      count,
      async *[Symbol.asyncIterator]() {
        for (let at = 0; at + (fixedBatch ?? 1) <= rows.length; at += size) {
          const picked = rows.slice(at, at + size);
          const data = new Float32Array(picked.length * train.x.rowLength);
          for (const [i, row] of picked.entries()) data.set(await train.x.readRows(row, 1), i * train.x.rowLength);
          const tensor: Tensor = { type: 'float32', dims: [picked.length, ...dims], data };
          yield { [inputName]: tensor };
        }
      },
    };
  }

  /** How well the model does on the test split, by the main metric of its kind. */
  async score(model: Uint8Array, signal: AbortSignal): Promise<Score> {
    const test = this.#test;
    if (test === undefined) throw new AppError('DATASET_FORMAT', { message: 'There are no test samples.' });
    const postproc = test.hasBoxes ? DETECTOR_POSTPROC : undefined;
    const metrics = await scoreModel(model, { info: this.#info, test, postproc, batchSize: 64, signal, progress: () => undefined });
    const metric = MAIN_METRICS.find((name) => metrics[name] !== undefined) ?? MAIN_METRICS[0];
    return { metric, value: metrics[metric] ?? 0 };
  }

  /** One sample as the model takes it: a test sample where there are any. */
  async firstSample(): Promise<{ shape: number[]; data: Float32Array }> {
    const split = this.#test !== undefined && this.#test.count > 0 ? this.#test : this.#train;
    return { shape: [1, ...this.#info.sampleShape], data: await split.x.readRows(0, 1) };
  }

  /** sha256 of the training samples. */
  digest(signal: AbortSignal): Promise<string> {
    return sha256File(join(this.#folder, this.#info.splits.train?.x ?? ''), signal);
  }

  async close(): Promise<void> {
    await this.#train.close();
    await this.#test?.close();
  }
}

/**
 * Opens a training set made by the split tool.
 *
 * @throws AppError DATASET_FORMAT (user) when it is something else or has no training samples.
 */
export async function openBuildSamples(folder: string): Promise<BuildSamples> {
  const info = await readTensorSetInfo(folder);
  const train = await openSplit(folder, info, 'train');
  try {
    if (train.count === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no training samples to calibrate with.' });
    const test = Object.hasOwn(info.splits, 'test') ? await openSplit(folder, info, 'test') : undefined;
    return new BuildSamples(folder, info, train, test);
  } catch (error) {
    await train.close();
    throw error;
  }
}
