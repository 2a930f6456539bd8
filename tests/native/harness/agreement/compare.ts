import type { Answer, FoundBox } from './reference.ts';

/** How two classifiers differ over all pictures. */
export interface ScoreDifference {
  /** Pictures to which both give the same best label. */
  readonly sameTop: number;
  /** Largest difference of one class's score. */
  readonly score: number;
  readonly meanScore: number;
}

export function compareScores(actual: readonly Answer[], expected: readonly Answer[]): ScoreDifference {
  let [sameTop, most, sum, count] = [0, 0, 0, 0];
  for (const [index, { topk = [] }] of expected.entries()) {
    const other = actual[index]?.topk ?? [];
    if (topk[0] !== undefined && topk[0].label === other[0]?.label) sameTop += 1;
    for (const { label, score } of topk) {
      const distance = Math.abs(score - (other.find((entry) => entry.label === label)?.score ?? Number.POSITIVE_INFINITY));
      most = Math.max(most, distance);
      sum += distance;
      count += 1;
    }
  }
  return { sameTop, score: most, meanScore: sum / count };
}

function intersectionOverUnion([ax1, ay1, ax2, ay2]: FoundBox['box'], [bx1, by1, bx2, by2]: FoundBox['box']): number {
  const shared = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared);
}

/** How two detectors differ over all pictures. */
export interface BoxDifference {
  /** Boxes of both together. */
  readonly boxes: number;
  /** Share of them with a partner: the same label, overlapping by half, each partner taken once. */
  readonly matched: number;
  /** Of partners: least overlap, and largest and mean difference of scores. */
  readonly overlap: number;
  readonly score: number;
  readonly meanScore: number;
}

export function compareBoxes(actual: readonly Answer[], expected: readonly Answer[]): BoxDifference {
  let [boxes, matched, overlap, most, sum] = [0, 0, 1, 0, 0];
  for (const [index, { boxes: wanted = [] }] of expected.entries()) {
    const free = new Set(actual[index]?.boxes ?? []);
    boxes += wanted.length + free.size;
    for (const box of wanted) {
      const candidates = [...free]
        .filter(({ label }) => label === box.label)
        .map((other) => ({ other, iou: intersectionOverUnion(other.box, box.box) }));
      const best = candidates.reduce<(typeof candidates)[number] | undefined>(
        (top, one) => (top === undefined || one.iou > top.iou ? one : top),
        undefined,
      );
      if (best === undefined || best.iou < 0.5) continue;
      free.delete(best.other);
      matched += 2;
      overlap = Math.min(overlap, best.iou);
      const distance = Math.abs(best.other.score - box.score);
      most = Math.max(most, distance);
      sum += distance;
    }
  }
  return { boxes, matched: matched / boxes, overlap, score: most, meanScore: (2 * sum) / matched };
}
