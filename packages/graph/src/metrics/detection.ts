import type { Box } from '../ops/index.ts';

/** An object that is really there. */
export interface TruthBox {
  readonly image: number;
  /** Class. */
  readonly index: number;
  /** [x1, y1, x2, y2] in the same pixels as the detections. */
  readonly box: Readonly<Box>;
}

export interface DetectedBox extends TruthBox {
  readonly score: number;
}

export interface AveragePrecision {
  /** Class. */
  readonly index: number;
  /** Objects of the class. */
  readonly support: number;
  /** At IoU 0.50; 0..1. */
  readonly ap50: number;
  /** Mean over IoU 0.50, 0.55 ... 0.95. */
  readonly ap: number;
  /** Share of objects found at IoU 0.50 with any score. */
  readonly recall50: number;
}

export interface DetectionMetrics {
  /** mAP@50: mean over the classes that have objects; 0 where there are none. */
  readonly map50: number;
  /** mAP@50:95. */
  readonly map: number;
  /** Classes that have objects, ascending. */
  readonly perClass: readonly AveragePrecision[];
}

/** COCO's: the most confident boxes of a picture, per class, and points of recall. */
const MAX_PER_IMAGE = 100;
const RECALL_POINTS = 101;
const IOU_THRESHOLDS: readonly number[] = Array.from({ length: 10 }, (_, i) => (50 + 5 * i) / 100);

/** Intersection over union of two boxes; 0 where they share nothing. */
export function intersectionOverUnion(a: Readonly<Box>, b: Readonly<Box>): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = ([x1, y1, x2, y2]: Readonly<Box>) => (x2 - x1) * (y2 - y1);
  return (width * height) / (area(a) + area(b) - width * height);
}

function byImage<T extends TruthBox>(boxes: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const box of boxes) {
    const group = groups.get(box.image);
    if (group) group.push(box);
    else groups.set(box.image, [box]);
  }
  return groups;
}

/** By falling score; of equal ones the earlier first, as COCO's stable sort has it. */
const byScore = (boxes: readonly DetectedBox[]): DetectedBox[] => [...boxes].sort((a, b) => b.score - a.score);

/** Which detections, by falling score, find an object: each takes the free one that it covers best, if well enough. */
function matches(ranked: readonly DetectedBox[], truths: ReadonlyMap<number, readonly TruthBox[]>, threshold: number): boolean[] {
  const taken = new Set<TruthBox>();
  return ranked.map((detection) => {
    let best: TruthBox | undefined;
    let bestOverlap = threshold;
    for (const truth of truths.get(detection.image) ?? []) {
      const overlap = taken.has(truth) ? -1 : intersectionOverUnion(detection.box, truth.box);
      if (overlap >= bestOverlap) [best, bestOverlap] = [truth, overlap];
    }
    if (best) taken.add(best);
    return best !== undefined;
  });
}

/** Mean over recalls 0, 0.01 ... 1 of the best precision at that recall or a higher one. */
function averagePrecision(hits: readonly boolean[], support: number): number {
  const precision: number[] = [];
  const recall: number[] = [];
  let found = 0;
  for (const [i, hit] of hits.entries()) {
    if (hit) found += 1;
    precision.push(found / (i + 1));
    recall.push(found / support);
  }
  for (let i = precision.length - 2; i >= 0; i--) precision[i] = Math.max(precision[i] ?? 0, precision[i + 1] ?? 0);
  let sum = 0;
  let at = 0;
  for (let point = 0; point < RECALL_POINTS; point++) {
    while (at < recall.length && (recall[at] ?? 0) < point / (RECALL_POINTS - 1)) at++;
    sum += precision[at] ?? 0;
  }
  return sum / RECALL_POINTS;
}

function scoreClass(index: number, detections: readonly DetectedBox[], truths: readonly TruthBox[]): AveragePrecision {
  const kept = [...byImage(detections).values()].flatMap((boxes) => byScore(boxes).slice(0, MAX_PER_IMAGE));
  const ranked = byScore(kept);
  const groups = byImage(truths);
  const support = truths.length;
  const hits = IOU_THRESHOLDS.map((threshold) => matches(ranked, groups, threshold));
  const precisions = hits.map((each) => averagePrecision(each, support));
  return {
    index,
    support,
    ap50: precisions[0] ?? 0,
    ap: precisions.reduce((sum, value) => sum + value, 0) / precisions.length,
    recall50: (hits[0] ?? []).filter(Boolean).length / support,
  };
}

/**
 * Mean average precision of detections, as COCO computes it (101 points of recall, IoU 0.50 to 0.95, 100 boxes per picture
 * and class, objects of all sizes, none marked as crowd).
 *
 * @param detections - of all pictures, with a low threshold of confidence: what is cut off is lost for the recall.
 * @param truths - of the same pictures.
 * @see pycocotools `COCOeval`
 */
export function meanAveragePrecision(detections: readonly DetectedBox[], truths: readonly TruthBox[]): DetectionMetrics {
  const classes = [...new Set(truths.map(({ index }) => index))].sort((a, b) => a - b);
  const perClass = classes.map((index) =>
    scoreClass(
      index,
      detections.filter((box) => box.index === index),
      truths.filter((box) => box.index === index),
    ),
  );
  const mean = (key: 'ap50' | 'ap') => (perClass.length === 0 ? 0 : perClass.reduce((sum, each) => sum + each[key], 0) / perClass.length);
  return { map50: mean('ap50'), map: mean('ap'), perClass };
}
