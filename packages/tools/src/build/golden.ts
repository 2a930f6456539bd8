import type { Precision } from '@selvedge/contract';
import { openSession } from '@selvedge/graph/session';
import type { Golden, GoldenTensor } from './golden-file.ts';
import { fitsHalf, roundToHalf } from './half-precision.ts';

/** Largest difference that is no fault, as a share of the output's size. fp32 sums are only added in another order. */
const FP32_SHARE = 1e-3;
/** Half precision has 11 bits, and errors of layers add up. */
const FP16_SHARE = 2e-2;
/** Two int8 engines round differently: at least this is allowed, ... */
const INT8_LEAST_SHARE = 3e-2;
/** ... and never more than this, so that a wrong weight, layout or scale is still found. */
const INT8_MOST_SHARE = 0.15;
/** Of an output that is zero everywhere. */
const LEAST_SIZE = 1e-3;

/** How large values are: the largest, or the span of them. */
function sizeOf(values: Float32Array): number {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return Math.max(Math.abs(low), Math.abs(high), high - low, LEAST_SIZE);
}

/**
 * The largest absolute difference that the self-test of a package accepts.
 *
 * int8: any two engines are each about as far from fp32 as ONNX Runtime is here, so twice that distance is what they may
 * be apart.
 *
 * @param expected - output of the model in the precision of the package, by ONNX Runtime.
 * @param trained - output of the model as trained.
 */
export function goldenTolerance(precision: Precision, expected: Float32Array, trained: Float32Array): number {
  const size = sizeOf(expected);
  if (precision === 'fp32') return FP32_SHARE * size;
  if (precision === 'fp16') return FP16_SHARE * size;
  const distance = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (trained[i] ?? value))), 0);
  return Math.min(INT8_MOST_SHARE * size, Math.max(2 * distance, INT8_LEAST_SHARE * size));
}

interface GoldenInput {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

async function runOnce(model: Uint8Array, { shape, data }: GoldenInput): Promise<{ input: string; output: GoldenTensor }> {
  const session = await openSession(model);
  try {
    const [inputName, outputName] = [session.inputs[0]?.name ?? '', session.outputs[0]?.name ?? ''];
    const result = (await session.run({ [inputName]: { type: 'float32', dims: [...shape], data } }))[outputName];
    const output = { name: outputName, shape: [...(result?.dims ?? [])], data: Float32Array.from(result?.data ?? [], Number) };
    return { input: inputName, output };
  } finally {
    await session.close();
  }
}

export interface GoldenRequest {
  readonly precision: Precision;
  /** ONNX file as trained, and in the precision of the package. */
  readonly trained: Uint8Array;
  readonly built: Uint8Array;
  readonly input: GoldenInput;
}

/**
 * The sample that a package checks itself with: the output that ONNX Runtime computes for the model in the package's own
 * precision, whichever engine the package has. The input is rounded to half precision first, which halves its size in the
 * package and takes nothing from the test: the output is that of the rounded input.
 *
 * @throws AppError SHAPE_MISMATCH (user) when the sample does not fit the model.
 */
export async function makeGolden({ precision, trained, built, input }: GoldenRequest): Promise<Golden> {
  const isHalf = fitsHalf(input.data);
  const given = isHalf ? { ...input, data: input.data.map(roundToHalf) } : input;
  const expected = await runOnce(built, given);
  const reference = precision === 'int8' ? await runOnce(trained, given) : expected;
  return {
    input: { name: expected.input, isHalf, ...given },
    output: expected.output,
    tolerance: goldenTolerance(precision, expected.output.data, reference.output.data),
  };
}
