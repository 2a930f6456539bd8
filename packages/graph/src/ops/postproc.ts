import { AppError, type PostprocOp, type PostprocSpec } from '@selvedge/contract';
import { type BoxTable, boxTable, type Detection, nms } from './nms.ts';
import { type ClassScore, checkFinite, sigmoid, softmax, topk } from './scores.ts';

/** One output of a model for one image. */
export interface ModelOutput {
  /** As the model gives it; leading dimensions of 1 (the batch) are ignored. */
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What inference answers with; plain JSON. */
export type PostprocResult =
  /** With `topk`: the best k classes. */
  | { top: ClassScore; topk: ClassScore[] }
  /** Without `topk`: the best class and the scores of all, by class index. */
  | { top: ClassScore; scores: number[] }
  /** With `nms`. */
  | { boxes: Detection[] }
  /** With an empty chain, where the output is not one score per label. */
  | { tensor: { shape: number[]; values: number[] } };

const ACTIVATIONS = { softmax, sigmoid } as const;

function sampleShape(shape: readonly number[]): number[] {
  const first = shape.findIndex((edge) => edge !== 1);
  return first < 0 ? [1] : shape.slice(first);
}

function checkOrder(pipeline: readonly PostprocOp[]): void {
  const fault = pipeline.find((op, i) => {
    const before = pipeline.slice(0, i);
    if (op === 'topk') return false;
    return before.includes('topk') || before.includes('nms');
  });
  if (!fault) return;
  throw new AppError('PREPROC_INVALID', {
    message: `"${fault}" cannot come after "topk" or "nms": these end in a list, not in a tensor`,
    hint: 'Order: softmax or sigmoid, then nms, then topk.',
  });
}

/** Applies an activation to the class columns of every box; the coordinates stay as they are. */
function activateClasses(table: BoxTable, activation: (values: Float32Array) => Float32Array): BoxTable {
  const { boxes, classes, boxStride, columnStride } = table;
  const data = table.data.slice();
  const scores = new Float32Array(classes);
  for (let box = 0; box < boxes; box++) {
    const from = box * boxStride + 4 * columnStride;
    for (let c = 0; c < classes; c++) scores[c] = data[from + c * columnStride] ?? 0;
    activation(scores).forEach((score, c) => {
      data[from + c * columnStride] = score;
    });
  }
  return { ...table, data };
}

function missingParams(op: PostprocOp): AppError {
  return new AppError('PREPROC_INVALID', { message: `"${op}" has no parameters`, hint: `Give them in postproc.params.${op}.` });
}

function detect(output: ModelOutput, spec: PostprocSpec, labels: readonly string[]): PostprocResult {
  if (!spec.params?.nms) throw missingParams('nms');
  let table = boxTable(output.data, output.shape.length === 3 && output.shape[0] === 1 ? output.shape.slice(1) : output.shape, labels);
  for (const op of spec.pipeline) {
    if (op === 'softmax' || op === 'sigmoid') table = activateClasses(table, ACTIVATIONS[op]);
  }
  const boxes = nms(table, spec.params.nms, labels);
  if (!spec.pipeline.includes('topk')) return { boxes };
  if (!spec.params.topk) throw missingParams('topk');
  return { boxes: boxes.slice(0, spec.params.topk.k) };
}

function classify(output: ModelOutput, spec: PostprocSpec, labels: readonly string[]): PostprocResult {
  const shape = sampleShape(output.shape);
  const classes = output.data.length;
  if (shape.some((edge, i) => i > 0 && edge !== 1) || classes === 0 || (labels.length > 0 && labels.length !== classes)) {
    const expected = labels.length > 0 ? `${labels.length} scores, one per label,` : 'one score per class';
    throw new AppError('SHAPE_MISMATCH', {
      message: `The post-processing needs ${expected} and the output of the model is [${output.shape.join(', ')}]`,
    });
  }
  let values = output.data;
  for (const op of spec.pipeline) {
    if (op === 'softmax' || op === 'sigmoid') values = ACTIVATIONS[op](values);
  }
  const limit = spec.pipeline.includes('topk') ? spec.params?.topk?.k : 1;
  if (limit === undefined) throw missingParams('topk');
  const best = topk(values, limit, labels);
  const [top] = best;
  if (!top) throw new AppError('PREPROC_INVALID', { message: '"topk" needs k of at least 1' });
  return spec.pipeline.includes('topk') ? { top, topk: best } : { top, scores: Array.from(values) };
}

/**
 * Turns the outputs of a model for one image into the answer to the user.
 *
 * The chain reads the first output. `softmax` and `sigmoid` work on the class scores: on the whole vector of a
 * classifier, on the class columns of each box where `nms` follows. `topk` after `nms` keeps the best k boxes. With an empty
 * chain, a vector with one value per label is still a classification; anything else is returned as it is.
 *
 * @param outputs - the model's outputs for one image, float32.
 * @param spec - `postproc` of the pipeline.
 * @param labels - by class index; empty when not known, then `label` is the index as text.
 * @throws AppError SHAPE_MISMATCH (user) when the output does not fit the chain or the number of labels.
 * @throws AppError PREPROC_INVALID (user) when the chain cannot run (order, parameters missing) or the output is not finite.
 */
export function applyPostproc(outputs: readonly ModelOutput[], spec: PostprocSpec, labels: readonly string[]): PostprocResult {
  const [output] = outputs;
  if (!output) throw new AppError('SHAPE_MISMATCH', { message: 'The model returned no output' });
  const size = output.shape.reduce((product, edge) => product * edge, 1);
  if (size !== output.data.length) {
    throw new AppError('SHAPE_MISMATCH', { message: `An output of shape [${output.shape.join(', ')}] has ${output.data.length} values` });
  }
  checkOrder(spec.pipeline);
  checkFinite(output.data);
  if (spec.pipeline.includes('nms')) return detect(output, spec, labels);
  const isVector = sampleShape(output.shape).every((edge, i) => i === 0 || edge === 1);
  if (spec.pipeline.length > 0 || (isVector && labels.length > 0 && labels.length === size)) return classify(output, spec, labels);
  return { tensor: { shape: [...output.shape], values: Array.from(output.data) } };
}
