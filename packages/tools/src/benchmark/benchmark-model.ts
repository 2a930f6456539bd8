import { AppError, type BenchmarkReport, type GoldenSample, type PostprocSpec, type TensorSet } from '@selvedge/contract';
import { applyPostproc } from '@selvedge/graph/ops';
import { openSession, type Session } from '@selvedge/graph/session';
import { yieldToEvents } from '../kit/index.ts';
import type { SplitReader } from '../tensor-set/tensor-set-reader.ts';
import { percentile, scoreConfusion } from './classification-scores.ts';

const WARM_UP_RUNS = 20;
const LATENCY_RUNS = 200;
/** Devices compute in another order than the server does: float32 sums differ in the last digits. */
const GOLDEN_TOLERANCE = 1e-3;

export interface BenchmarkOptions {
  readonly modelPath: string;
  readonly info: TensorSet;
  readonly test: SplitReader;
  readonly postproc: PostprocSpec | undefined;
  readonly batchSize: number;
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): void;
}

export interface BenchmarkResult {
  readonly report: BenchmarkReport;
  readonly golden: GoldenSample;
}

/**
 * Measures a classifier on the test split.
 *
 * @throws AppError SHAPE_MISMATCH (user) when model and tensors do not fit; PREPROC_INVALID when the post-processing
 * cannot work on what the model gives; MODEL_INVALID.
 */
export async function benchmarkModel(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { info, test } = options;
  if (test.count === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no test samples.' });
  const session = await openSession(options.modelPath);
  try {
    const runner = new ClassifierRunner(session, info);
    const golden = await goldenSample(runner, test);
    // Better here than on every device: a chain that does not fit the output is found before the model is registered.
    const { shape, data } = golden.output;
    if (options.postproc !== undefined) applyPostproc([{ shape, data: Float32Array.from(data) }], options.postproc, info.labels);
    const { confusion, loss } = await classifyAll(runner, options);
    const { metrics, perClass } = scoreConfusion(confusion, info.labels);
    const latencyMs = await measureLatency(runner, options);
    return {
      golden,
      report: { formatVersion: 1, samples: test.count, metrics: { ...metrics, loss }, perClass, confusion, latencyMs },
    };
  } finally {
    await session.close();
  }
}

/**
 * Scores a classifier on the test split, without timing it.
 *
 * @param model - the bytes of an ONNX model; a fixed batch is kept.
 * @returns accuracy, f1, precision, recall, loss.
 * @throws AppError as `benchmarkModel`.
 */
export async function scoreClassifier(
  model: Uint8Array,
  options: Omit<BenchmarkOptions, 'modelPath' | 'postproc'>,
): Promise<Record<string, number>> {
  const { info, test } = options;
  if (test.count === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no test samples.' });
  const session = await openSession(model);
  try {
    const batchSize = session.inputs[0]?.shape[0] ?? options.batchSize;
    const { confusion, loss } = await classifyAll(new ClassifierRunner(session, info), { ...options, batchSize });
    return { ...scoreConfusion(confusion, info.labels).metrics, loss };
  } finally {
    await session.close();
  }
}

/** A model with one image input and one score per class. */
class ClassifierRunner {
  readonly inputName: string;
  readonly outputName: string;
  readonly sampleShape: readonly number[];
  readonly classes: number;
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
    this.classes = info.labels.length;
    this.#session = session;
  }

  /** @returns one row of scores per sample. */
  async run(x: Float32Array, count: number): Promise<Float32Array> {
    const feeds = { [this.inputName]: { type: 'float32' as const, dims: [count, ...this.sampleShape], data: x } };
    const output = (await this.#session.run(feeds))[this.outputName];
    if (output?.type !== 'float32' || output.data.length !== count * this.classes) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `The model gives [${output?.dims.join(', ')}] for ${count} sample(s); expected one score for each of ${this.classes} labels.`,
      });
    }
    return output.data;
  }
}

async function goldenSample(runner: ClassifierRunner, test: SplitReader): Promise<GoldenSample> {
  const x = await test.x.readRows(0, 1);
  const scores = await runner.run(x, 1);
  return {
    input: { name: runner.inputName, shape: [1, ...runner.sampleShape], data: [...x] },
    output: { name: runner.outputName, shape: [1, runner.classes], data: [...scores] },
    tolerance: GOLDEN_TOLERANCE,
  };
}

async function classifyAll(
  runner: ClassifierRunner,
  options: Omit<BenchmarkOptions, 'modelPath' | 'postproc'>,
): Promise<{ confusion: number[][]; loss: number }> {
  const { test, batchSize, signal, progress } = options;
  const { classes } = runner;
  const labels = await test.readLabels();
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let loss = 0;
  for (let at = 0; at < test.count; at += batchSize) {
    await yieldToEvents(signal); // a run holds up the event loop: let the API answer
    const count = Math.min(batchSize, test.count - at);
    const scores = await runner.run(await test.x.readRows(at, count), count);
    for (let i = 0; i < count; i += 1) {
      const row = scores.subarray(i * classes, (i + 1) * classes);
      const label = labels[at + i] ?? 0;
      const counts = confusion[label];
      const best = row.indexOf(Math.max(...row));
      if (counts !== undefined) counts[best] = (counts[best] ?? 0) + 1;
      loss += crossEntropy(row, label);
    }
    progress((at + count) / test.count, `${at + count} of ${test.count} samples`);
  }
  return { confusion, loss: loss / test.count };
}

/** Of softmax(scores); scores that are probabilities already are taken as they are. */
function crossEntropy(scores: Float32Array, label: number): number {
  const sum = scores.reduce((total, score) => total + score, 0);
  const score = scores[label] ?? 0;
  if (Math.abs(sum - 1) < 1e-4 && scores.every((value) => value >= 0)) return -Math.log(Math.max(score, 1e-30));
  const top = Math.max(...scores);
  return top + Math.log(scores.reduce((total, value) => total + Math.exp(value - top), 0)) - score;
}

async function measureLatency(runner: ClassifierRunner, { test, signal }: BenchmarkOptions): Promise<BenchmarkReport['latencyMs']> {
  const times: number[] = [];
  for (let i = 0; i < WARM_UP_RUNS + LATENCY_RUNS; i += 1) {
    await yieldToEvents(signal);
    const x = await test.x.readRows(i % test.count, 1);
    const started = performance.now();
    await runner.run(x, 1);
    if (i >= WARM_UP_RUNS) times.push(performance.now() - started);
  }
  return { p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
}
