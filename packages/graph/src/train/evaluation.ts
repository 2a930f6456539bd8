import { AppError } from '@selvedge/contract';
import { elementCount } from '../onnx/index.ts';
import type { Tensor } from '../session/index.ts';
import type { LabelsInfo, LossKind } from './losses/index.ts';

/** Class indices for cross-entropy; for the other losses the wanted outputs, one sample after the other. */
export type Labels = Int32Array | BigInt64Array | Float32Array;

export interface Evaluation {
  readonly loss: number;
  /** 0..1; null for losses without classes. */
  readonly accuracy: number | null;
}

function checkClasses(labels: ArrayLike<number | bigint>, classes: number): void {
  for (let i = 0; i < labels.length; i++) {
    const label = Number(labels[i]);
    if (!(label >= 0 && label < classes))
      throw new AppError('INPUT_INVALID', { message: `Label ${label} (number ${i} of the batch) is outside 0..${classes - 1}.` });
  }
}

/** The labels of one batch as the training graph takes them. */
export function labelsTensor(kind: LossKind, labels: Labels, { type, dims, classes = 0 }: LabelsInfo): Tensor {
  const wanted = elementCount(dims);
  const integers = !(labels instanceof Float32Array);
  if (labels.length !== wanted || integers !== (type === 'int64')) {
    const what = type === 'int64' ? 'class indices (Int32Array or BigInt64Array)' : 'values (Float32Array)';
    throw new AppError('SHAPE_MISMATCH', {
      message: `${kind} takes ${wanted} ${what} a step, but was given ${labels.length} in a ${labels.constructor.name}.`,
    });
  }
  if (!integers) return { type: 'float32', dims, data: labels };
  checkClasses(labels, classes);
  return { type: 'int64', dims, data: labels instanceof BigInt64Array ? labels : BigInt64Array.from(labels, BigInt) };
}

interface RowResult {
  readonly best: number;
  readonly logSum: number;
}

/** Largest entry and log of the sum of exponentials of row `row`. */
function readRow(outputs: Float32Array, row: number, classes: number): RowResult {
  let best = 0;
  for (let c = 1; c < classes; c++) if ((outputs[row * classes + c] ?? 0) > (outputs[row * classes + best] ?? 0)) best = c;
  const top = outputs[row * classes + best] ?? 0;
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp((outputs[row * classes + c] ?? 0) - top);
  return { best, logSum: top + Math.log(sum) };
}

function evaluateClasses(outputs: Float32Array, labels: Labels, count: number, probabilities: boolean): Evaluation {
  const classes = outputs.length / count;
  checkClasses(labels, classes);
  let loss = 0;
  let right = 0;
  for (let row = 0; row < count; row++) {
    const label = Number(labels[row]);
    const { best, logSum } = readRow(outputs, row, classes);
    const value = outputs[row * classes + label] ?? 0;
    // Probabilities may round to 0, whose logarithm would hide every other sample.
    loss += probabilities ? -Math.log(Math.max(value, 1e-30)) : logSum - value;
    if (best === label) right += 1;
  }
  return { loss: loss / count, accuracy: right / count };
}

/**
 * Loss and accuracy of a model's outputs.
 *
 * @param head - the operator that makes the outputs: a Softmax or Sigmoid there is not applied again.
 */
export function evaluateOutputs(loss: LossKind, outputs: Float32Array, labels: Labels, count: number, head: string): Evaluation {
  if (loss === 'detection' || loss === 'identity') {
    throw new AppError('INPUT_INVALID', {
      message: `The loss ${loss} is not one of the model's outputs alone.`,
      hint: 'Measure what `predict` gives with the metrics of the task.',
    });
  }
  const wanted = loss === 'cross-entropy' ? count : outputs.length;
  if (count < 1 || labels.length !== wanted)
    throw new AppError('SHAPE_MISMATCH', { message: `${count} samples need ${wanted} labels, but there are ${labels.length}.` });
  if (loss === 'cross-entropy') return evaluateClasses(outputs, labels, count, head === 'Softmax');
  let sum = 0;
  for (let i = 0; i < outputs.length; i++) {
    const z = outputs[i] ?? 0;
    const y = Number(labels[i]);
    if (loss === 'mse') sum += (z - y) ** 2;
    else if (head === 'Sigmoid') sum -= y * Math.log(Math.max(z, 1e-30)) + (1 - y) * Math.log(Math.max(1 - z, 1e-30));
    else sum += Math.max(z, 0) - z * y + Math.log1p(Math.exp(-Math.abs(z)));
  }
  return { loss: sum / outputs.length, accuracy: null };
}
