import { readModel } from '@selvedge/graph/onnx';
import type { Histogram } from './event-message.ts';
import { histogramOf } from './histogram.ts';

/** The first so many initializers are shown. */
const MAX_HISTOGRAMS = 500;

/**
 * One histogram per initializer of an ONNX model, tagged `weights/<name>`.
 *
 * @throws AppError MODEL_INVALID, OP_UNSUPPORTED (user) for a file that is no model which is understood here.
 */
export function weightHistograms(model: Uint8Array): { tag: string; histo: Histogram }[] {
  const values: { tag: string; histo: Histogram }[] = [];
  for (const [name, tensor] of readModel(model).graph.initializers) {
    if (values.length === MAX_HISTOGRAMS) break;
    // float16 and bfloat16 are kept as bits; integers of 64 bits are shapes and indices.
    const { type } = tensor;
    if (type !== 'float32' && type !== 'float64' && type !== 'int8' && type !== 'uint8' && type !== 'int32') continue;
    const histo = histogramOf(tensor.data);
    if (histo !== undefined) values.push({ tag: `weights/${name}`, histo });
  }
  return values;
}
