import { AppError } from '@selvedge/contract';
import { type ClassScore, labelOf } from './scores.ts';

/** [x1, y1, x2, y2] in pixels of the model's input. */
export type Box = [x1: number, y1: number, x2: number, y2: number];

export interface Detection extends ClassScore {
  box: Box;
}

export interface NmsParams {
  /** Boxes of one class that overlap a better one by more than this are dropped; 0..1. */
  readonly IoU_thr: number;
  /** Boxes with a lower score are dropped first; 0..1. */
  readonly conf_thr: number;
  /** At most this many boxes per image; default {@link MAX_BOXES}. */
  readonly max_boxes?: number | undefined;
}

export const MAX_BOXES = 300;

/** Columns before the class scores: cx, cy, w, h. */
const BOX_COLUMNS = 4;

/** A detector's output for one image, read in place: value j of box i is at `i * boxStride + j * columnStride`. */
export interface BoxTable {
  readonly data: Float32Array;
  readonly boxes: number;
  readonly classes: number;
  readonly boxStride: number;
  readonly columnStride: number;
}

/**
 * Finds out which axis of a detector's output holds the boxes: [N, 4 + classes] or [4 + classes, N] (as YOLOv8 exports
 * it). With labels, the axis of length 4 + labels holds the columns; without, the shorter one. If both fit, the last does.
 *
 * @param data - one image's output.
 * @param shape - two dimensions, batch dimension removed.
 * @throws AppError SHAPE_MISMATCH (user) when neither axis fits.
 */
export function boxTable(data: Float32Array, shape: readonly number[], labels: readonly string[]): BoxTable {
  const [first = 0, last = 0] = shape;
  const wanted = labels.length > 0 ? BOX_COLUMNS + labels.length : Math.min(first, last);
  if (shape.length !== 2 || data.length !== first * last || wanted <= BOX_COLUMNS || (first !== wanted && last !== wanted)) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `"nms" needs boxes of shape [N, 4 + classes] or [4 + classes, N] and got [${shape.join(', ')}] with ${labels.length} label(s)`,
    });
  }
  const classes = wanted - BOX_COLUMNS;
  return last === wanted
    ? { data, boxes: first, classes, boxStride: last, columnStride: 1 }
    : { data, boxes: last, classes, boxStride: 1, columnStride: last };
}

/** One box above the confidence threshold; `row` is its place in the model's output and breaks ties. */
interface Candidate {
  readonly row: number;
  readonly index: number;
  readonly score: number;
  readonly box: Box;
  readonly area: number;
}

function corners(cx: number, cy: number, w: number, h: number): Box {
  const fround = Math.fround;
  const halfWidth = fround(w / 2);
  const halfHeight = fround(h / 2);
  return [fround(cx - halfWidth), fround(cy - halfHeight), fround(cx + halfWidth), fround(cy + halfHeight)];
}

function areaOf([x1, y1, x2, y2]: Box): number {
  return Math.fround(Math.max(Math.fround(x2 - x1), 0) * Math.max(Math.fround(y2 - y1), 0));
}

function collect(table: BoxTable, threshold: number): Candidate[] {
  const { data, classes, boxStride, columnStride } = table;
  const found: Candidate[] = [];
  for (let row = 0; row < table.boxes; row++) {
    const at = row * boxStride;
    let index = 0;
    let score = data[at + BOX_COLUMNS * columnStride] ?? 0;
    for (let c = 1; c < classes; c++) {
      const value = data[at + (BOX_COLUMNS + c) * columnStride] ?? 0;
      if (value > score) {
        score = value;
        index = c;
      }
    }
    if (score < threshold) continue;
    const box = corners(data[at] ?? 0, data[at + columnStride] ?? 0, data[at + 2 * columnStride] ?? 0, data[at + 3 * columnStride] ?? 0);
    found.push({ row, index, score, box, area: areaOf(box) });
  }
  return found;
}

function overlap(a: Candidate, b: Candidate): number {
  const fround = Math.fround;
  const width = fround(Math.min(a.box[2], b.box[2]) - Math.max(a.box[0], b.box[0]));
  const height = fround(Math.min(a.box[3], b.box[3]) - Math.max(a.box[1], b.box[1]));
  if (width <= 0 || height <= 0) return 0;
  const shared = fround(width * height);
  return fround(shared / fround(fround(a.area + b.area) - shared));
}

/**
 * Greedy non-maximum suppression per class. All arithmetic is float32, each step rounded; the thresholds are rounded to
 * float32 first. The rules, in order:
 *
 * 1. A box belongs to its best class; of equal scores to the lower class index. Its score is that class's.
 * 2. A box with `score < conf_thr` is dropped.
 * 3. Corners: `x1 = cx - w / 2`, `y1 = cy - h / 2`, `x2 = cx + w / 2`, `y2 = cy + h / 2`; not clipped to the image.
 * 4. Boxes are taken by falling score, of equal scores the lower row first. One is kept unless a kept box of its class has
 *    `IoU > IoU_thr` (strictly) with it. The process ends at `max_boxes` kept boxes, counted over all classes.
 * 5. `IoU = shared / ((areaA + areaB) - shared)`, `area = max(x2 - x1, 0) * max(y2 - y1, 0)`; it is 0 for boxes that do
 *    not overlap or have no area.
 *
 * @param table - finite values; see {@link boxTable}.
 * @param labels - one per class, or none.
 * @returns kept boxes by falling score, in pixels of the model's input; `index` is the class.
 * @see ONNX NonMaxSuppression-11 (center_point_box 1), Ultralytics `non_max_suppression` (one class per box)
 */
export function nms(table: BoxTable, params: NmsParams, labels: readonly string[]): Detection[] {
  const threshold = Math.fround(params.IoU_thr);
  const limit = params.max_boxes ?? MAX_BOXES;
  const candidates = collect(table, Math.fround(params.conf_thr)).sort((a, b) => b.score - a.score || a.row - b.row);
  const keptByClass = new Map<number, Candidate[]>();
  const detections: Detection[] = [];
  for (const candidate of candidates) {
    if (detections.length >= limit) break;
    const kept = keptByClass.get(candidate.index) ?? [];
    if (kept.some((better) => overlap(better, candidate) > threshold)) continue;
    kept.push(candidate);
    keptByClass.set(candidate.index, kept);
    detections.push({ box: candidate.box, label: labelOf(labels, candidate.index), index: candidate.index, score: candidate.score });
  }
  return detections;
}
