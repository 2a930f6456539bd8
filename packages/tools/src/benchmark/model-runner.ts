import { AppError, type TensorSet } from '@selvedge/contract';
import type { Session } from '@selvedge/graph/session';
import { yieldToEvents } from '../kit/index.ts';
import type { SplitReader } from '../tensor-set/tensor-set-reader.ts';

/** What a model gives for some samples: `size` values each, of the given shape. */
export interface SampleOutputs {
  readonly shape: readonly number[];
  readonly size: number;
  readonly data: Float32Array;
}

export interface EachBatch {
  readonly test: SplitReader;
  readonly batchSize: number;
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): void;
}

/** A model with one input and one output of float32, a row per sample. */
export class ModelRunner {
  readonly inputName: string;
  readonly outputName: string;
  readonly sampleShape: readonly number[];
  /** The only number of samples that the model takes at once; null when it takes any. */
  readonly fixedBatch: number | null;
  readonly #session: Session;

  constructor(session: Session, info: TensorSet) {
    const [input, ...others] = session.inputs;
    const [output] = session.outputs;
    if (input === undefined || output === undefined || others.length > 0) {
      throw new AppError('SHAPE_MISMATCH', { message: `The model has ${session.inputs.length} inputs; the benchmark feeds one.` });
    }
    this.inputName = input.name;
    this.outputName = output.name;
    this.sampleShape = info.sampleShape;
    this.fixedBatch = input.shape[0] ?? null;
    this.#session = session;
  }

  async run(x: Float32Array, count: number): Promise<SampleOutputs> {
    const feeds = { [this.inputName]: { type: 'float32' as const, dims: [count, ...this.sampleShape], data: x } };
    const output = (await this.#session.run(feeds))[this.outputName];
    if (output?.type !== 'float32' || output.dims[0] !== count) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `The model gives ${output?.type ?? 'nothing'} [${output?.dims.join(', ')}] for ${count} sample(s); expected float32 with one row for each.`,
      });
    }
    return { shape: output.dims.slice(1), size: output.data.length / count, data: output.data };
  }

  /** Runs the test split in its order. `take` gets each sample's values, which are good only until it returns. */
  async forEach(options: EachBatch, take: (sample: number, values: Float32Array, shape: readonly number[]) => void): Promise<void> {
    const { test, signal, progress } = options;
    const batchSize = this.fixedBatch ?? options.batchSize;
    for (let at = 0; at < test.count; at += batchSize) {
      await yieldToEvents(signal); // a run holds up the event loop: let the API answer
      const count = Math.min(batchSize, test.count - at);
      const rows = await test.x.readRows(at, count);
      const { shape, size, data } = await this.run(this.#padded(rows, batchSize, count), this.fixedBatch ?? count);
      for (let i = 0; i < count; i += 1) take(at + i, data.subarray(i * size, (i + 1) * size), shape);
      progress((at + count) / test.count, `${at + count} of ${test.count} samples`);
    }
  }

  /** The last rows of a split may be fewer than a model of a fixed batch takes: the rest is zeros. */
  #padded(rows: Float32Array, batchSize: number, count: number): Float32Array {
    if (this.fixedBatch === null || count === batchSize) return rows;
    const whole = new Float32Array((rows.length / count) * batchSize);
    whole.set(rows);
    return whole;
  }
}
