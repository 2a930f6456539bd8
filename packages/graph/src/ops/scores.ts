import { AppError } from '@selvedge/contract';

/** One class and how likely the model holds it to be. */
export interface ClassScore {
  /** The class's label; its index as text where the model has no labels. */
  label: string;
  /** Index of the class in the model's output. */
  index: number;
  score: number;
}

export function labelOf(labels: readonly string[], index: number): string {
  return labels[index] ?? String(index);
}

/**
 * Probabilities that sum to 1, computed without overflow for any finite input.
 *
 * `e_i = float32(exp(float32(x_i - max)))`, `S = sum of e_i` in float64 by rising index, `out_i = float32(e_i / S)`. exp and
 * the division are float64.
 *
 * @param values - finite scores of one sample; at least one.
 * @see ONNX Softmax-13 over the class axis
 */
export function softmax(values: Float32Array): Float32Array {
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) if (value > max) max = value;
  const out = new Float32Array(values.length);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const e = Math.fround(Math.exp(Math.fround((values[i] ?? 0) - max)));
    out[i] = e;
    sum += e;
  }
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) / sum;
  return out;
}

/**
 * The logistic function per value, without overflow: `1 / (1 + exp(-x))` for x >= 0, else `exp(x) / (1 + exp(x))`, in
 * float64, rounded to float32 once.
 *
 * @see ONNX Sigmoid-13
 */
export function sigmoid(values: Float32Array): Float32Array {
  return values.map((x) => {
    if (x >= 0) return 1 / (1 + Math.exp(-x));
    const e = Math.exp(x);
    return e / (1 + e);
  });
}

/**
 * The k classes with the highest scores, best first; of equal scores the lower index comes first.
 *
 * @param values - finite scores of one sample.
 * @param k - how many; all of them when there are fewer.
 * @param labels - one per value, or none.
 */
export function topk(values: Float32Array, k: number, labels: readonly string[]): ClassScore[] {
  const order = Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
  return order.slice(0, k).map((index) => ({ label: labelOf(labels, index), index, score: values[index] ?? 0 }));
}

/** @throws AppError PREPROC_INVALID when a value is NaN or infinite: no ranking of it would mean anything. */
export function checkFinite(values: Float32Array): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new AppError('PREPROC_INVALID', {
    message: `The output of the model cannot be post-processed: value ${at} is ${values[at]}`,
    hint: 'Check the model: weights that are not finite, or an input out of range.',
    data: { index: at },
  });
}
