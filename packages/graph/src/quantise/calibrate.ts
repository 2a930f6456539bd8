import { setImmediate } from 'node:timers/promises';
import { AppError } from '@selvedge/contract';
import { type Model, writeModel } from '../onnx/index.ts';
import { openSession, type Session, type Tensor } from '../session/index.ts';
import type { Range } from './affine.ts';
import { floatValues } from './float-values.ts';
import { entropyRange, Histogram, percentileRange, RunningRange } from './histogram.ts';
import { operandsOf, ruleOf } from './operators.ts';
import { prepareModel } from './prepare-model.ts';

/** What one run is fed: a tensor per input of the model, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Batches of samples. Each iteration must begin anew (an array does; a generator object does not). */
export type Batches = AsyncIterable<Feeds> | Iterable<Feeds>;

export type CalibrationMethod = 'minmax' | 'percentile' | 'entropy';

/** What calibration found out; belongs to the model that it was made with. */
export interface Ranges {
  readonly method: CalibrationMethod;
  /** Range of each value that may be quantised, by name. */
  readonly tensors: ReadonlyMap<string, Range>;
}

export interface CalibrationProgress {
  /** 1, or 2 where the method reads the batches twice. */
  readonly pass: number;
  readonly passes: number;
  /** Batches of this pass that are done. */
  readonly batch: number;
  /** Batches in a pass; null during the first. */
  readonly batches: number | null;
}

export interface CalibrationOptions {
  readonly method: CalibrationMethod;
  /** Share of values within the range, in percent; above 50 up to 100. Default 99.99; for `percentile` only. */
  readonly percentile?: number;
  /** Threads of ONNX Runtime; default 1. */
  readonly threads?: number;
  readonly onProgress?: (progress: CalibrationProgress) => void;
  /** Ends the work between two batches. */
  readonly signal?: AbortSignal;
}

const DEFAULT_PERCENTILE = 99.99;
/** Bins are 1/32 of a quantisation step, so that their width does not matter. */
const PERCENTILE_BINS = 8192;
/** As TensorRT has. */
const ENTROPY_BINS = 2048;

/** Values that quantisation may want a range of, in the order in which they are made. */
function measuredValues(model: Model): string[] {
  const floats = floatValues(model);
  const wanted = new Set<string>();
  for (const node of model.graph.nodes) {
    const rule = ruleOf(node);
    if (!rule) continue;
    for (const name of [...operandsOf(node, rule), ...node.outputs])
      if (floats.has(name) && !model.graph.initializers.has(name)) wanted.add(name);
  }
  return [...wanted];
}

/** The same model with other values as its outputs. */
export function withOutputs(model: Model, names: readonly string[]): Model {
  const known = new Map(model.graph.outputs.map((output) => [output.name, output]));
  const outputs = names.map((name) => known.get(name) ?? { name, type: 'float32' as const, shape: null });
  return { ...model, graph: { ...model.graph, outputs } };
}

/** Lets timers and signals have their turn: runs compute on this thread. */
export async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

/** A fault of one batch, with its number. */
function inBatch(error: unknown, batch: number): unknown {
  if (!(error instanceof AppError)) return error;
  const message = `Calibration batch ${batch + 1}: ${error.details.message}`;
  return new AppError(error.code, { ...error.details, message, data: { ...error.details.data, batch } }, { cause: error });
}

/** Runs every batch and shows each measured value to `visit`. @returns the number of batches. */
async function measure(
  session: Session | undefined,
  inputs: readonly string[],
  batches: Batches,
  visit: (name: string, values: Float32Array, batch: number) => void,
  after: (batches: number) => Promise<void>,
): Promise<number> {
  let batch = 0;
  for await (const feeds of batches) {
    const results = await session?.run(feeds).catch((error: unknown) => {
      throw inBatch(error, batch);
    });
    const fed = inputs.map((name) => [name, feeds[name]] as const);
    for (const [name, tensor] of [...fed, ...Object.entries(results ?? {})])
      if (tensor?.type === 'float32') visit(name, tensor.data, batch);
    batch += 1;
    await after(batch);
  }
  return batch;
}

function percentileOf(options: CalibrationOptions): number {
  const percentile = options.percentile ?? DEFAULT_PERCENTILE;
  if (percentile > 50 && percentile <= 100) return percentile;
  throw new AppError('INPUT_INVALID', { message: `The percentile must be above 50 and at most 100, not ${percentile}.` });
}

function notFinite(name: string, value: number | undefined, batch: number): AppError {
  return new AppError('INPUT_INVALID', {
    message: `Calibration batch ${batch + 1}: the tensor "${name}" holds ${value}, which has no range.`,
    hint: 'Check the pre-processing of the calibration data, and whether the model computes finite numbers on it.',
    data: { tensor: name, batch },
  });
}

type Values = (visit: (name: string, values: Float32Array, batch: number) => void, pass: number) => Promise<number>;

async function runningRanges(values: Values): Promise<{ ranges: Map<string, Range>; batches: number }> {
  const running = new Map<string, RunningRange>();
  const batches = await values((name, data, batch) => {
    const range = running.get(name) ?? new RunningRange();
    running.set(name, range);
    const bad = range.add(data);
    if (bad >= 0) throw notFinite(name, data[bad], batch);
  }, 1);
  return { ranges: new Map([...running].map(([name, range]) => [name, range.range()])), batches };
}

/** The second pass: a histogram over what the first one found, and the range that the method takes from it. */
async function narrowed(
  values: Values,
  full: ReadonlyMap<string, Range>,
  batches: number,
  options: CalibrationOptions,
): Promise<Map<string, Range>> {
  const entropy = options.method === 'entropy';
  const percentile = percentileOf(options);
  const histograms = new Map<string, Histogram>();
  for (const [name, { min, max }] of full) {
    const magnitudes = { min: 0, max: Math.max(Math.abs(min), Math.abs(max)) };
    histograms.set(name, entropy ? new Histogram(magnitudes, ENTROPY_BINS) : new Histogram({ min, max }, PERCENTILE_BINS));
  }
  const again = await values((name, data) => {
    const histogram = histograms.get(name);
    if (entropy) histogram?.addMagnitudes(data);
    else histogram?.add(data);
  }, 2);
  if (again !== batches) {
    throw new AppError('INPUT_INVALID', {
      message: `The calibration data gave ${batches} batches at the first reading and ${again} at the second.`,
      hint: `The method "${options.method}" reads it twice: pass an iterable that begins anew each time, not a generator.`,
    });
  }
  const ranges = new Map<string, Range>();
  for (const [name, histogram] of histograms) {
    const range = full.get(name) ?? { min: 0, max: 0 };
    ranges.set(name, entropy ? entropyRange(histogram, range) : percentileRange(histogram, range, percentile));
    await breathe(options.signal);
  }
  return ranges;
}

/**
 * Runs a float32 model on samples and finds the range of every value that may be quantised.
 *
 * `minmax` takes the smallest and largest value; `percentile` cuts off the outermost values; `entropy` cuts where the
 * distribution suffers least (as TensorRT does), and suits tensors with long tails. The latter two read the batches
 * twice. Memory does not grow with the number of batches.
 *
 * @param model - as it is before quantisation; batch normalization is folded here as `quantiseModel` does.
 * @throws AppError INPUT_INVALID without batches, when a value is not finite (`data.tensor`, `data.batch`), or when the
 *   second reading gives other batches; SHAPE_MISMATCH (with the batch's number) when feeds do not fit; OP_UNSUPPORTED
 *   when the opset cannot be raised to 13.
 * @throws the signal's reason when it is aborted.
 */
export async function calibrate(model: Model, batches: Batches, options: CalibrationOptions): Promise<Ranges> {
  const { method, signal, onProgress } = options;
  percentileOf(options);
  signal?.throwIfAborted();
  const prepared = prepareModel(model);
  const inputNames = new Set(prepared.graph.inputs.map(({ name }) => name));
  const measured = measuredValues(prepared);
  const inside = measured.filter((name) => !inputNames.has(name));
  const inputs = measured.filter((name) => inputNames.has(name));
  const passes = method === 'minmax' ? 1 : 2;
  const session =
    inside.length > 0 ? await openSession(writeModel(withOutputs(prepared, inside)), { threads: options.threads ?? 1 }) : undefined;
  try {
    let total: number | null = null;
    const values: Values = (visit, pass) =>
      measure(session, inputs, batches, visit, async (batch) => {
        onProgress?.({ pass, passes, batch, batches: total });
        await breathe(signal);
      });
    const first = await runningRanges(values);
    if (first.batches === 0) {
      throw new AppError('INPUT_INVALID', {
        message: 'There is no calibration data.',
        hint: 'Pass at least one batch; 100 to 500 samples are usual.',
      });
    }
    total = first.batches;
    return { method, tensors: passes === 1 ? first.ranges : await narrowed(values, first.ranges, first.batches, options) };
  } finally {
    await session?.close();
  }
}
