import type { Augment } from '@selvedge/contract';
import { clipBoxes, type LabelledBox } from '@selvedge/graph/ops';
import type { Random } from '@selvedge/graph/train';

/** An object of which less is left after a crop or a shift is not learnt. */
const MIN_VISIBLE_SHARE = 0.3;

/** Where the pixels of one changed picture come from: x = a * column + b * row + c, y = d * column + e * row + f, in pixel centres. */
export interface Placement {
  readonly x: readonly [a: number, b: number, c: number];
  readonly y: readonly [d: number, e: number, f: number];
}

interface Size {
  readonly height: number;
  readonly width: number;
}

const between = (random: Random, low: number, high: number): number => low + (high - low) * random.uniform();

/** Draws flip, crop, rotation and shift of one picture; undefined where the options move nothing. */
export function drawPlacement(options: Augment, { height, width }: Size, random: Random): Placement | undefined {
  const { shift = 0, flip, crop = 0, rotate = 0 } = options;
  if (shift === 0 && flip === undefined && crop === 0 && rotate === 0) return undefined;
  const whole = () => Math.floor(random.uniform() * (2 * shift + 1)) - shift;
  const [dy, dx] = shift === 0 ? [0, 0] : [whole(), whole()];
  const mirrored = (axis: 'horizontal' | 'vertical') => (flip === axis || flip === 'both') && random.uniform() < 0.5;
  const [flipX, flipY] = [mirrored('horizontal') ? -1 : 1, mirrored('vertical') ? -1 : 1];
  const scale = crop === 0 ? 1 : between(random, 1 - crop, 1);
  // How far the middle of what is kept lies from the middle of the picture.
  const [awayX, awayY] = crop === 0 ? [0, 0] : [between(random, -1, 1), between(random, -1, 1)].map((way) => (way * (1 - scale)) / 2);
  const angle = rotate === 0 ? 0 : (between(random, -rotate, rotate) * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  const [a, b, d, e] = [flipX * cos, -flipX * sin, flipY * sin, flipY * cos];
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  return {
    x: [a, b, middleX + (awayX ?? 0) * width - a * (middleX + dx) - b * (middleY + dy)],
    y: [d, e, middleY + (awayY ?? 0) * height - d * (middleX + dx) - e * (middleY + dy)],
  };
}

const clamp = (value: number, length: number): number => Math.min(length - 1, Math.max(0, value));

/** Moves the pixels of one picture [C, H, W]; what comes in at an edge repeats it. */
export function movePixels(from: Float32Array, to: Float32Array, channels: number, { height, width }: Size, placement: Placement): void {
  const [a, b, c] = placement.x;
  const [d, e, f] = placement.y;
  const plane = height * width;
  if (b === 0 && d === 0 && Math.abs(a) === 1 && Math.abs(e) === 1 && Number.isInteger(c) && Number.isInteger(f)) {
    const columns = Int32Array.from({ length: width }, (_, column) => clamp(a * column + c, width));
    const rows = Int32Array.from({ length: height }, (_, row) => clamp(e * row + f, height));
    copyPixels(from, to, channels, rows, columns);
    return;
  }
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const x = clamp(a * column + b * row + c, width);
      const y = clamp(d * column + e * row + f, height);
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [wx, wy] = [x - left, y - top];
      const upper = top * width + left;
      const right = left + 1 < width ? 1 : 0;
      const lower = top + 1 < height ? width : 0;
      for (let channel = 0; channel < channels; channel += 1) {
        const at = channel * plane + upper;
        const first = from[at] ?? 0;
        const above = wx === 0 ? first : first + wx * ((from[at + right] ?? 0) - first);
        if (wy === 0) to[channel * plane + row * width + column] = above;
        else {
          const under = from[at + lower] ?? 0;
          const below = under + wx * ((from[at + lower + right] ?? 0) - under);
          to[channel * plane + row * width + column] = above + wy * (below - above);
        }
      }
    }
  }
}

/** Flips and shifts by whole pixels, which are most of what is drawn, need no interpolation. */
function copyPixels(from: Float32Array, to: Float32Array, channels: number, rows: Int32Array, columns: Int32Array): void {
  const [height, width] = [rows.length, columns.length];
  let at = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (let row = 0; row < height; row += 1) {
      const start = (channel * height + (rows[row] ?? 0)) * width;
      for (let column = 0; column < width; column += 1) {
        to[at] = from[start + (columns[column] ?? 0)] ?? 0;
        at += 1;
      }
    }
  }
}

/** Moves boxes as the pixels are moved, and cuts them at the edges; only for placements without rotation. */
export function moveBoxes(boxes: readonly LabelledBox[], { height, width }: Size, placement: Placement): LabelledBox[] {
  const [a, , c] = placement.x;
  const [, e, f] = placement.y;
  // Edges of pixels lie half a pixel from their centres.
  const along = (edge: number, factor: number, offset: number) => (edge - 0.5 - offset) / factor + 0.5;
  const moved = boxes.map(({ box: [x1, y1, x2, y2], index }): LabelledBox => {
    const [left, right] = [along(x1, a, c), along(x2, a, c)];
    const [top, bottom] = [along(y1, e, f), along(y2, e, f)];
    return { box: [Math.min(left, right), Math.min(top, bottom), Math.max(left, right), Math.max(top, bottom)], index };
  });
  return clipBoxes(moved, [height, width], MIN_VISIBLE_SHARE);
}
