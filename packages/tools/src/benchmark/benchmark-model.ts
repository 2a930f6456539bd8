import {
  AppError,
  type BenchmarkKind,
  type BenchmarkReport,
  type GoldenSample,
  type PostprocSpec,
  type TensorSet,
} from '@selvedge/contract';
import { applyPostproc } from '@selvedge/graph/ops';
import { openSession } from '@selvedge/graph/session';
import { yieldToEvents } from '../kit/index.ts';
import type { SplitReader } from '../tensor-set/tensor-set-reader.ts';
import { type EachBatch, ModelRunner } from './model-runner.ts';
import { percentile } from './percentile.ts';
import { scoreClassification } from './score-classification.ts';
import { scoreDetection } from './score-detection.ts';
import { scoreEmbedding } from './score-embedding.ts';
import type { Scores } from './scores.ts';

const WARM_UP_RUNS = 20;
const LATENCY_RUNS = 200;
/** Devices compute in another order than the server does: float32 sums differ in the last digits. */
const GOLDEN_TOLERANCE = 1e-3;

interface ScoringOptions extends EachBatch {
  readonly info: TensorSet;
  readonly postproc?: PostprocSpec | undefined;
  /** Default: what the data and the output of the model say. */
  readonly kind?: BenchmarkKind | undefined;
}

export interface BenchmarkOptions extends ScoringOptions {
  readonly modelPath: string;
}

export interface BenchmarkResult {
  readonly report: BenchmarkReport;
  readonly golden: GoldenSample;
  /** What the report is made of; for the page with its pictures. */
  readonly scores: Scores;
}

/**
 * Measures a model on the test split.
 *
 * @throws AppError SHAPE_MISMATCH (user) when model and tensors do not fit; PREPROC_INVALID when the post-processing
 * cannot work on what the model gives; MODEL_INVALID.
 */
export async function benchmarkModel(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { info, test, postproc } = options;
  checkTest(test);
  const session = await openSession(options.modelPath);
  try {
    const runner = new ModelRunner(session, info);
    const golden = await goldenSample(runner, test);
    // Better here than on every device: a chain that does not fit the output is found before the model is registered.
    const { shape, data } = golden.output;
    if (postproc !== undefined) applyPostproc([{ shape, data: Float32Array.from(data) }], postproc, info.labels);
    const scores = await scoreRunner(runner, options, golden.output.data.length);
    const { kind, metrics, perClass, confusion, calibration } = scores;
    const mistakes = scores.mistakes.map(({ sample, actual, predicted, confidence }) => ({ sample, actual, predicted, confidence }));
    const latencyMs = await measureLatency(runner, options);
    const parts = { kind, metrics, perClass, confusion, ...(calibration === undefined ? {} : { calibration }), mistakes, latencyMs };
    return { golden, scores, report: { formatVersion: 1, samples: test.count, ...parts } };
  } finally {
    await session.close();
  }
}

/**
 * Scores a model on the test split, without timing it.
 *
 * @param model - the bytes of an ONNX model; a fixed batch is kept.
 * @returns the metrics of its kind.
 * @throws AppError as `benchmarkModel`.
 */
export async function scoreModel(model: Uint8Array, options: ScoringOptions): Promise<Record<string, number>> {
  checkTest(options.test);
  const session = await openSession(model);
  try {
    const runner = new ModelRunner(session, options.info);
    const rows = runner.fixedBatch ?? 1;
    const probe = await runner.run(new Float32Array(rows * options.test.x.rowLength), rows);
    return (await scoreRunner(runner, options, probe.size)).metrics;
  } finally {
    await session.close();
  }
}

function checkTest(test: SplitReader): void {
  if (test.count === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no test samples.' });
}

/** @param outputSize - values that the model gives per sample. */
async function scoreRunner(runner: ModelRunner, options: ScoringOptions, outputSize: number): Promise<Scores> {
  const { info, test, batchSize, signal, postproc } = options;
  const progress = (fraction: number, message: string) => options.progress(fraction, message);
  const scoring = { runner, test, batchSize, signal, progress, postproc, labels: info.labels };
  switch (options.kind ?? kindOf(options, outputSize)) {
    case 'detection':
      return scoreDetection(scoring, await test.readBoxes());
    case 'classification':
      return scoreClassification(scoring);
    case 'embedding':
      return scoreEmbedding(scoring);
  }
}

function kindOf({ info, test, postproc }: ScoringOptions, outputSize: number): BenchmarkKind {
  if (test.hasBoxes || postproc?.pipeline.includes('nms') === true) return 'detection';
  // A chain of scores says that a wrong number of them is a fault, not a vector.
  const wantsScores = postproc !== undefined && postproc.pipeline.length > 0;
  return wantsScores || outputSize === info.labels.length ? 'classification' : 'embedding';
}

async function goldenSample(runner: ModelRunner, test: SplitReader): Promise<GoldenSample> {
  const count = runner.fixedBatch ?? 1;
  const row = await test.x.readRows(0, 1);
  const x = new Float32Array(row.length * count);
  x.set(row);
  const { shape, data } = await runner.run(x, count);
  return {
    input: { name: runner.inputName, shape: [count, ...runner.sampleShape], data: [...x] },
    output: { name: runner.outputName, shape: [count, ...shape], data: [...data] },
    tolerance: GOLDEN_TOLERANCE,
  };
}

async function measureLatency(runner: ModelRunner, { test, signal }: BenchmarkOptions): Promise<BenchmarkReport['latencyMs']> {
  const times: number[] = [];
  const count = runner.fixedBatch ?? 1;
  const x = new Float32Array(test.x.rowLength * count);
  for (let i = 0; i < WARM_UP_RUNS + LATENCY_RUNS; i += 1) {
    await yieldToEvents(signal);
    x.set(await test.x.readRows(i % test.count, 1));
    const started = performance.now();
    await runner.run(x, count);
    if (i >= WARM_UP_RUNS) times.push(performance.now() - started);
  }
  return { p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
}
