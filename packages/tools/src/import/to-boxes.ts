import type { Box } from '@selvedge/contract';
import type { SourceBox } from './source-sample.ts';

/**
 * Boxes in pixels of a picture, cut at its edges.
 *
 * @returns what is wrong, in words, when a box is not in the picture at all or has no extent.
 */
export function toBoxes(
  boxes: readonly SourceBox[],
  picture: { readonly width: number; readonly height: number },
  indexOf: ReadonlyMap<string, number>,
): Box[] | string {
  const result: Box[] = [];
  for (const [number, box] of boxes.entries()) {
    const [unitX, unitY] = box.unit === 'share' ? [picture.width, picture.height] : [1, 1];
    const [left, top] = [box.x * unitX, box.y * unitY];
    const [x, y] = [Math.max(0, left), Math.max(0, top)];
    const width = Math.min(picture.width, left + box.width * unitX) - x;
    const height = Math.min(picture.height, top + box.height * unitY) - y;
    const what = `box ${number + 1} (${box.label})`;
    if (!(box.width > 0 && box.height > 0)) return `${what} has no extent`;
    if (!(width > 0 && height > 0)) return `${what} is outside the picture of ${picture.width} x ${picture.height} pixels`;
    const label = indexOf.get(box.label);
    if (label === undefined) return `${what} has a label that is not in the list`;
    result.push({ label, x: rounded(x), y: rounded(y), width: rounded(width), height: rounded(height) });
  }
  return result;
}

/** To a thousandth of a pixel: shares times sizes have digits that mean nothing, and the manifest is hashed. */
function rounded(value: number): number {
  return Math.max(Math.round(value * 1000), 0) / 1000;
}
