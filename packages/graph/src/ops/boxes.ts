import { AppError, type PreprocSpec } from '@selvedge/contract';
import type { Box } from './nms.ts';
import { letterboxWindow, middle, type Size } from './spatial.ts';

/** A box of a class in a picture. */
export interface LabelledBox {
  readonly box: Readonly<Box>;
  /** Class. */
  readonly index: number;
}

/** An object of which less than this share of the area is left in the picture counts as cut away. */
export const MIN_VISIBLE_SHARE = 0.1;

interface Axis {
  readonly factor: number;
  readonly shift: number;
}

function map({ box, index }: LabelledBox, y: Axis, x: Axis): LabelledBox {
  const [x1, y1, x2, y2] = box;
  return { box: [x1 * x.factor + x.shift, y1 * y.factor + y.shift, x2 * x.factor + x.shift, y2 * y.factor + y.shift], index };
}

/**
 * Cuts boxes at the edges of a picture and leaves out those that are cut away: with no extent left, or with less than
 * `minVisible` of their area.
 */
export function clipBoxes(boxes: readonly LabelledBox[], [height, width]: Size, minVisible = MIN_VISIBLE_SHARE): LabelledBox[] {
  return boxes.flatMap(({ box: [x1, y1, x2, y2], index }) => {
    const [left, top] = [Math.max(0, x1), Math.max(0, y1)];
    const [right, bottom] = [Math.min(width, x2), Math.min(height, y2)];
    if (!(right > left && bottom > top)) return [];
    const visible = ((right - left) * (bottom - top)) / ((x2 - x1) * (y2 - y1));
    return visible < minVisible ? [] : [{ box: [left, top, right, bottom], index }];
  });
}

/**
 * Where the boxes of a picture lie after the spatial ops of a chain: `resize`, `letterbox` and `centercrop` move them as they
 * move the pixels, the other ops leave them where they are. What `centercrop` cuts is cut, see {@link clipBoxes}.
 *
 * @param boxes - in pixels of the picture.
 * @param size - [height, width] of the picture.
 * @throws AppError PREPROC_INVALID (user) when an op has no parameters.
 */
export function preprocessBoxes(boxes: readonly LabelledBox[], spec: PreprocSpec, size: Size): LabelledBox[] {
  const params = spec.params ?? {};
  let [height, width] = size;
  let moved = [...boxes];
  for (const op of spec.pipeline) {
    if (op !== 'resize' && op !== 'letterbox' && op !== 'centercrop') continue;
    const target = op === 'letterbox' ? params.letterbox?.size : params[op];
    if (target === undefined) throw new AppError('PREPROC_INVALID', { message: `"${op}" has no parameters` });
    if (op === 'centercrop') {
      const [rows, columns] = [middle(height, target[0]), middle(width, target[1])];
      const cut = moved.map((one) => map(one, { factor: 1, shift: rows.to - rows.from }, { factor: 1, shift: columns.to - columns.from }));
      moved = clipBoxes(cut, target);
    } else {
      const window = op === 'resize' ? { top: 0, left: 0, height: target[0], width: target[1] } : letterboxWindow([height, width], target);
      const [y, x] = [
        { factor: window.height / height, shift: window.top },
        { factor: window.width / width, shift: window.left },
      ];
      moved = moved.map((one) => map(one, y, x));
    }
    [height, width] = target;
  }
  return moved;
}
