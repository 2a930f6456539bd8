/** Most that two numbers of results may differ by and still be the same. */
const TOLERANCE = 1e-3;
/** Least overlap of two boxes that are the same. */
const LEAST_IOU = 0.5;

interface FoundBox {
  label: unknown;
  score: number;
  box: number[];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The boxes of a result; undefined when it is not one of a detector. */
function boxesOf(result: Record<string, unknown>): FoundBox[] | undefined {
  if (!Array.isArray(result.boxes)) return undefined;
  return result.boxes.filter(isObject).map(({ label, index, score, box }) => ({
    label: label ?? index,
    score: Number(score),
    box: Array.isArray(box) ? box.map(Number) : [],
  }));
}

/** How sure the model is: the score of the first label, or of the best box; null when the result has neither, or no box. */
export function confidenceOf(result: Record<string, unknown>): number | null {
  const scores = isObject(result.top) ? [Number(result.top.score)] : (boxesOf(result) ?? []).map(({ score }) => score);
  const best = Math.max(...scores);
  return Number.isFinite(best) ? Math.min(1, Math.max(0, best)) : null;
}

/** The first label, or that of the best box; null when there is none. */
export function classOf(result: Record<string, unknown>): string | null {
  if (isObject(result.top)) return typeof result.top.label === 'string' ? result.top.label : null;
  const best = (boxesOf(result) ?? []).toSorted((a, b) => b.score - a.score)[0];
  return best === undefined ? null : String(best.label);
}

function overlap([ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0]: number[], [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0]: number[]): number {
  const common = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  const both = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common;
  return both > 0 ? common / both : 0;
}

/** Each box has one of its label in the same place, and none is left over. */
function sameBoxes(first: FoundBox[], second: FoundBox[]): boolean {
  if (first.length !== second.length) return false;
  const left = [...second];
  return first.every((box) => {
    const overlaps = left.map((other) => (other.label === box.label ? overlap(box.box, other.box) : 0));
    const best = overlaps.indexOf(Math.max(...overlaps));
    if ((overlaps[best] ?? 0) < LEAST_IOU) return false;
    left.splice(best, 1);
    return true;
  });
}

function sameValues(first: unknown, second: unknown): boolean {
  if (typeof first === 'number' && typeof second === 'number') return Math.abs(first - second) <= TOLERANCE;
  if (Array.isArray(first) && Array.isArray(second))
    return first.length === second.length && first.every((value, index) => sameValues(value, second[index]));
  if (isObject(first) && isObject(second)) {
    const names = Object.keys(first);
    return names.length === Object.keys(second).length && names.every((name) => name in second && sameValues(first[name], second[name]));
  }
  return first === second;
}

/**
 * Whether two versions gave the same result for one input: the same first label; as many boxes with the same labels in the same places
 * (IoU of 0.5); everything else equal, numbers within 0.001.
 */
export function sameResult(first: Record<string, unknown>, second: Record<string, unknown>): boolean {
  const name = (top: unknown) => (isObject(top) ? (top.label ?? top.index) : undefined);
  if (name(first.top) !== undefined) return name(first.top) === name(second.top);
  const [firstBoxes, secondBoxes] = [boxesOf(first), boxesOf(second)];
  if (firstBoxes !== undefined) return secondBoxes !== undefined && sameBoxes(firstBoxes, secondBoxes);
  return sameValues(first, second);
}
