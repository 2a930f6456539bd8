import { AppError, type Layer } from '@selvedge/contract';
import {
  attribute,
  Chain,
  type ChainValue,
  checkWidth,
  extendModel,
  IR_VERSION,
  inferShapes,
  int64Tensor,
  type Model,
  OPSET,
  widened,
} from '../onnx/index.ts';
import { DETECTOR_RAW, decodeBoxes } from './decode-boxes.ts';
import { type DetectionGrid, gridCells } from './detection-grid.ts';

export interface DetectorSpec {
  /** [channels, height, width]; height and width are multiples of the largest stride. */
  readonly inputShape: readonly [number, number, number];
  readonly classes: number;
  /** [8], or [8, 16] (default) which also finds objects whose longer side is 64 pixels and more. */
  readonly strides?: readonly [8] | readonly [8, 16];
  /** Factor on the channels, which are 16 to 96; 0.25..4, default 1. */
  readonly width?: number;
  /** Seeds the weights; 0..2^32-1. */
  readonly seed: number;
}

/** Where the grid is kept in the model file. */
const STRIDES_KEY = 'selvedge.detector.strides';
/** Few cells have an object; beginning with this probability keeps the first steps from learning only that. */
const FIRST_PROBABILITY = 0.02;
/** Logarithm of the first distances: boxes begin 4 strides wide. */
const FIRST_DISTANCE = Math.log(2);

const block = (filters: number, stride: number): readonly Layer[] => [{ conv: { filters, kernel: 3, stride } }, 'batchnorm', 'relu'];

/** Adds the two layers that look at one level; gives [4 + classes, cells]. */
function addHead(chain: Chain, from: ChainValue, filters: number, classes: number): string {
  const rows = 4 + classes;
  chain.continueAt(from);
  chain.addAll([...block(filters, 1), { conv: { filters: rows, kernel: 1 } }]);
  const bias = chain.initializers.get(chain.nodes.at(-1)?.inputs[2] ?? '');
  const logit = Math.log(FIRST_PROBABILITY / (1 - FIRST_PROBABILITY));
  if (bias?.type === 'float32') bias.data.fill(FIRST_DISTANCE, 0, 4).fill(logit, 4);
  const [, height = 0, width = 0] = chain.shape;
  chain.node('Reshape', [chain.keep('shape', int64Tensor([0, rows, -1]))], {}, [rows, height * width]);
  return chain.value.name;
}

/**
 * Builds the untrained detector `tiny-detector`: one stage, no anchors (after FCOS: Tian et al. 2019). Input "input"
 * [N, C, H, W] float32 with an open batch; output "detections" [N, 4 + classes, cells]: cx, cy, w, h in pixels of the input
 * and the probability of each class, as the post-processing step `nms` reads it. The same spec gives the same bytes.
 *
 * Train it with the loss `{ kind: 'detection' }` on labels from `detectionTargets(boxes, detectionGridOf(model))`; measure it
 * with `nms` and `meanAveragePrecision`.
 *
 * @throws AppError SHAPE_MISMATCH when the picture is not a whole number of cells; INPUT_INVALID when the width is out of range.
 */
export function buildDetector(spec: DetectorSpec): Model {
  const { inputShape, classes, strides = [8, 16], width = 1 } = spec;
  checkWidth(width);
  const grid: DetectionGrid = { width: inputShape[2], height: inputShape[1], strides, classes };
  const cells = gridCells(grid).length;
  if (cells <= 4 + classes) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `Pictures of ${grid.width}x${grid.height} have ${cells} cells, too few for ${classes} classes.`,
      hint: 'Use larger pictures.',
    });
  }
  const chain = new Chain({ inputShape, classes, seed: spec.seed });
  const [narrow, middle, wide, widest] = [16, 32, 64, 96].map((channels) => widened(channels, width));
  chain.addAll([...block(narrow ?? 0, 2), ...block(middle ?? 0, 2), ...block(wide ?? 0, 2), ...block(wide ?? 0, 1)]);
  const levels = [chain.value];
  if (strides.length > 1) {
    chain.addAll([...block(widest ?? 0, 2), ...block(widest ?? 0, 1)]);
    levels.push(chain.value);
  }
  const parts = levels.map((level) => addHead(chain, level, wide ?? 0, classes));
  const [first = '', ...others] = parts;
  chain.continueAt({ name: first, shape: [4 + classes, cells] });
  if (others.length > 0) chain.node('Concat', others, { axis: attribute.int(2) });
  chain.finish(DETECTOR_RAW);
  const raw: Model = {
    irVersion: IR_VERSION,
    producer: 'selvedge',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: 'tiny-detector',
      nodes: chain.nodes,
      initializers: chain.initializers,
      inputs: [{ name: 'input', type: 'float32', shape: ['N', ...inputShape] }],
      outputs: [],
    },
    metadata: { [STRIDES_KEY]: strides.join() },
  };
  const model = extendModel(raw, [], (graph) => decodeBoxes(graph, DETECTOR_RAW, grid));
  inferShapes(model);
  return { ...model, graph: { ...model.graph, outputs: [{ name: 'detections', type: 'float32', shape: ['N', 4 + classes, cells] }] } };
}

/**
 * The grid of a detector that `buildDetector` made, also after training, export and reading it again.
 *
 * @throws AppError MODEL_INVALID for every other model.
 */
export function detectionGridOf(model: Model): DetectionGrid {
  const strides = (model.metadata[STRIDES_KEY] ?? '').split(',').map(Number);
  const [, , height, width] = model.graph.inputs[0]?.shape ?? [];
  const rows = model.graph.outputs[0]?.shape?.[1];
  if (typeof height !== 'number' || typeof width !== 'number' || typeof rows !== 'number' || !strides.every((stride) => stride >= 1)) {
    throw new AppError('MODEL_INVALID', {
      message: 'The model is not a detector that was made here.',
      hint: 'Train a tiny-detector, or a version of one.',
    });
  }
  return { width, height, strides, classes: rows - 4 };
}
