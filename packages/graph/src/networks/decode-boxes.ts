import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { attribute, float32Tensor } from '../onnx/index.ts';
import { type DetectionGrid, gridCells } from './detection-grid.ts';

/** The value of a detector that its loss reads: [N, 4 + classes, cells], logarithms of distances and then logits. */
export const DETECTOR_RAW = 'raw';

/** Distances are kept within e^-4..e^4 strides, so that no step of training can make them infinite. */
const LOGARITHM_LIMIT = 4;

/** Rows `from` to `to` of a value [N, rows, cells]. */
export const rowsOf = (graph: GraphBuilder, value: string, from: number, to: number): string =>
  graph.op('Slice', [value, graph.ints([from]), graph.ints([to]), graph.ints([1])]);

/** Left, top, right, bottom of each cell's box from its centre, in strides: [N, 4, cells]. */
export function distancesOf(graph: GraphBuilder, raw: string): string {
  const bounds = [graph.scalar(-LOGARITHM_LIMIT), graph.scalar(LOGARITHM_LIMIT)];
  return graph.op('Exp', [graph.op('Clip', [rowsOf(graph, raw, 0, 4), ...bounds])]);
}

/** [N, 4 + classes, cells]: centre, width and height in pixels, then probabilities. This is what the step `nms` reads. */
export function decodeBoxes(graph: GraphBuilder, raw: string, grid: DetectionGrid): string {
  const cells = gridCells(grid);
  const strides = graph.constant(
    float32Tensor(
      [1, 1, cells.length],
      Float32Array.from(cells, ({ stride }) => stride),
    ),
  );
  const centres = [...cells.map(({ x }) => x), ...cells.map(({ y }) => y)];
  const distances = distancesOf(graph, raw);
  const [before, after] = [rowsOf(graph, distances, 0, 2), rowsOf(graph, distances, 2, 4)];
  const shift = graph.op('Mul', [graph.op('Mul', [graph.op('Sub', [after, before]), graph.scalar(0.5)]), strides]);
  const centre = graph.op('Add', [shift, graph.constant(float32Tensor([1, 2, cells.length], Float32Array.from(centres)))]);
  const size = graph.op('Mul', [graph.op('Add', [before, after]), strides]);
  const scores = graph.op('Sigmoid', [rowsOf(graph, raw, 4, 4 + grid.classes)]);
  graph.opInto('Concat', [centre, size, scores], ['detections'], { axis: attribute.int(1) });
  return 'detections';
}
