import { AppError } from '@selvedge/contract';
import { DETECTOR_RAW, distancesOf, rowsOf } from '../../networks/decode-boxes.ts';
import { extendModel } from '../../onnx/extend-model.ts';
import type { GraphBuilder } from '../../onnx/graph-builder.ts';
import { inferShapes, type Model } from '../../onnx/index.ts';
import { FEED } from '../feeds.ts';
import type { DetectionLoss, LossHead } from './loss.ts';

/** Rows of the targets before those of the classes: left, top, right, bottom, weight. */
const BOX_ROWS = 4;
const TARGET_ROWS = 5;

function rawShape(model: Model): { rows: number; cells: number } {
  const [, rows, cells] = inferShapes(model).get(DETECTOR_RAW)?.shape ?? [];
  if (typeof rows !== 'number' || typeof cells !== 'number' || rows <= BOX_ROWS) {
    throw new AppError('MODEL_INVALID', {
      message: `The model has no value "${DETECTOR_RAW}" of shape [N, 4 + classes, cells], so it cannot be trained as a detector.`,
      hint: 'Begin with a detector that was made here.',
    });
  }
  return { rows, cells };
}

const total = (graph: GraphBuilder, value: string): string => graph.sum(value, [0, 1, 2]);

/** Width and height that left, top, right and bottom span, multiplied. */
function areaOf(graph: GraphBuilder, distances: string): string {
  const sides = graph.op('Add', [rowsOf(graph, distances, 0, 2), rowsOf(graph, distances, 2, 4)]);
  return graph.op('Mul', [rowsOf(graph, sides, 0, 1), rowsOf(graph, sides, 1, 2)]);
}

/**
 * 1 - GIoU, weighted. Prediction and target reach out from the same cell, so the smaller distances bound what they share
 * and the larger ones what encloses both (Rezatofighi et al. 2019, with the boxes of Tian et al. 2019).
 */
function boxLoss(graph: GraphBuilder, distances: string, wanted: string, weight: string): string {
  const [a, b] = [areaOf(graph, distances), areaOf(graph, wanted)];
  const shared = areaOf(graph, graph.op('Min', [distances, wanted]));
  const hull = areaOf(graph, graph.op('Max', [distances, wanted]));
  const union = graph.op('Sub', [graph.op('Add', [a, b]), shared]);
  const overlap = graph.op('Div', [shared, union]);
  const gap = graph.op('Div', [graph.op('Sub', [hull, union]), hull]);
  const cost = graph.op('Add', [graph.op('Sub', [graph.scalar(1), overlap]), gap]);
  return total(graph, graph.op('Mul', [cost, weight]));
}

/** (sigmoid(z) - q)^2 * binary cross-entropy against the quality q in 0..1 (Li et al. 2020, beta 2). */
function scoreLoss(graph: GraphBuilder, z: string, quality: string): string {
  const miss = graph.op('Sub', [graph.op('Sigmoid', [z]), quality]);
  const entropy = graph.op('Sub', [graph.op('Softplus', [z]), graph.op('Mul', [z, quality])]);
  return total(graph, graph.op('Mul', [graph.op('Mul', [miss, miss]), entropy]));
}

function emitDetection(graph: GraphBuilder, rows: number, boxWeight: number): string {
  const y = FEED.labels;
  const weight = rowsOf(graph, y, BOX_ROWS, TARGET_ROWS);
  const boxes = boxLoss(graph, distancesOf(graph, DETECTOR_RAW), rowsOf(graph, y, 0, BOX_ROWS), weight);
  const scores = scoreLoss(graph, rowsOf(graph, DETECTOR_RAW, BOX_ROWS, rows), rowsOf(graph, y, TARGET_ROWS, rows + 1));
  // A batch without objects has no boxes, and its scores count as those of one object.
  const objects = graph.op('Max', [total(graph, weight), graph.scalar(1)]);
  return graph.op('Div', [graph.op('Add', [graph.op('Mul', [boxes, graph.scalar(boxWeight)]), scores]), objects]);
}

export function detectionHead({ boxWeight = 2 }: Omit<DetectionLoss, 'kind'>): LossHead {
  return {
    contains: [],
    extend: (model) => {
      const { rows, cells } = rawShape(model);
      const labels = { name: FEED.labels, type: 'float32', shape: ['N', rows + 1, cells] } as const;
      return extendModel(model, [labels], (graph) => emitDetection(graph, rows, boxWeight));
    },
    labels: (_, shapeOf) => ({ type: 'float32', dims: shapeOf(FEED.labels) }),
    emit: (graph, z) => ({ loss: z, gradient: graph.scalar(1) }),
  };
}
