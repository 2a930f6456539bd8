/**
 * The shapes of the digits, drawn by us as pen strokes, so that no font has to be installed. Every digit has several
 * styles: printed, handwritten, and the seven-segment one of displays.
 *
 * Coordinates: x 0..60 to the right, y 0..100 downwards.
 */
export type Point = readonly [x: number, y: number];

/** One movement of the pen: straight through the points, or a smooth curve through them. */
export interface Stroke {
  readonly smooth: boolean;
  readonly closed: boolean;
  readonly points: readonly Point[];
}

export type Glyph = readonly Stroke[];

export const GLYPH_WIDTH = 60;
export const GLYPH_HEIGHT = 100;

function pairs(coordinates: readonly number[]): Point[] {
  const points: Point[] = [];
  for (let i = 0; i + 1 < coordinates.length; i += 2) points.push([coordinates[i] ?? 0, coordinates[i + 1] ?? 0]);
  return points;
}

const line = (...xy: number[]): Stroke => ({ smooth: false, closed: false, points: pairs(xy) });
const curve = (...xy: number[]): Stroke => ({ smooth: true, closed: false, points: pairs(xy) });
const loop = (...xy: number[]): Stroke => ({ smooth: true, closed: true, points: pairs(xy) });

const OVAL = loop(30, 0, 52, 12, 58, 50, 52, 88, 30, 100, 8, 88, 2, 50, 8, 12);

/** GLYPHS[digit] = its styles. */
export const GLYPHS: readonly (readonly Glyph[])[] = [
  [
    [OVAL],
    [loop(30, 0, 48, 20, 50, 50, 48, 80, 30, 100, 12, 80, 10, 50, 12, 20)],
    [OVAL, line(46, 18, 14, 82)],
    [curve(36, 2, 12, 14, 3, 52, 14, 90, 36, 98, 56, 72, 55, 28, 36, 2, 24, 8)],
    [line(4, 0, 56, 0, 56, 100, 4, 100, 4, 0)],
  ],
  [
    [line(30, 0, 30, 100)],
    [line(12, 20, 32, 0, 32, 100)],
    [line(12, 20, 32, 0, 32, 100), line(10, 100, 54, 100)],
    [line(16, 24, 40, 0, 26, 100)],
    [curve(34, 0, 31, 50, 30, 100)],
  ],
  [
    [curve(4, 24, 12, 6, 30, 0, 50, 8, 54, 28, 40, 54, 4, 100), line(4, 100, 57, 100)],
    [curve(6, 20, 26, 0, 50, 12, 48, 40, 24, 78, 8, 94, 6, 84, 20, 82, 38, 96, 58, 94)],
    [curve(5, 22, 16, 4, 34, 0, 54, 14, 50, 38, 30, 62, 3, 100), line(3, 100, 57, 100, 57, 92)],
    [line(4, 0, 56, 0, 56, 50, 4, 50, 4, 100, 56, 100)],
  ],
  [
    [curve(6, 12, 28, 0, 50, 10, 50, 34, 24, 46), curve(24, 46, 52, 56, 56, 80, 34, 100, 4, 90)],
    [line(6, 0, 54, 0, 28, 40), curve(28, 40, 54, 52, 56, 80, 32, 100, 4, 88)],
    [curve(4, 18, 18, 2, 42, 4, 52, 24, 40, 44, 26, 47), curve(26, 47, 46, 50, 57, 72, 44, 95, 20, 99, 3, 84)],
    [line(4, 0, 56, 0, 56, 100, 4, 100), line(14, 50, 56, 50)],
  ],
  [
    [line(42, 100, 42, 0, 2, 70, 58, 70)],
    [line(10, 0, 4, 60, 56, 60), line(42, 28, 42, 100)],
    [curve(16, 2, 8, 30, 5, 55), line(5, 55, 58, 52), line(46, 10, 40, 100)],
    [line(4, 0, 4, 50, 56, 50), line(56, 0, 56, 100)],
  ],
  [
    [line(52, 0, 10, 0, 6, 44), curve(6, 44, 30, 34, 54, 48, 56, 74, 36, 99, 4, 90)],
    [line(54, 0, 14, 0, 8, 46), curve(8, 46, 34, 36, 56, 58, 48, 90, 22, 100, 2, 88)],
    [curve(12, 6, 8, 30, 8, 46, 32, 40, 54, 60, 46, 90, 20, 100, 2, 90), line(12, 5, 52, 2)],
    [line(56, 0, 4, 0, 4, 50, 56, 50, 56, 100, 4, 100)],
  ],
  [
    [curve(48, 2, 24, 22, 6, 54, 8, 84, 30, 100, 52, 88, 54, 64, 34, 48, 10, 62)],
    [curve(52, 10, 34, 0, 14, 14, 4, 50, 8, 86, 30, 100, 52, 86, 54, 64, 34, 46, 14, 54, 6, 70)],
    [line(44, 0, 10, 58), loop(30, 44, 52, 54, 56, 74, 46, 94, 30, 100, 12, 94, 4, 74, 10, 56)],
    [line(56, 0, 4, 0, 4, 100, 56, 100, 56, 50, 4, 50)],
  ],
  [
    [line(3, 0, 57, 0, 20, 100)],
    [line(3, 0, 57, 0, 22, 100), line(18, 52, 52, 52)],
    [line(5, 14, 5, 0, 57, 0), curve(57, 0, 36, 40, 26, 100)],
    [line(4, 0, 56, 0, 56, 100)],
  ],
  [
    [loop(30, 0, 48, 8, 50, 26, 30, 47, 10, 26, 12, 8), loop(30, 47, 52, 60, 56, 80, 30, 100, 4, 80, 8, 60)],
    [curve(50, 14, 30, 0, 10, 14, 14, 36, 46, 60, 54, 82, 30, 100, 6, 82, 14, 60, 46, 36, 50, 14)],
    [line(4, 0, 56, 0, 56, 100, 4, 100, 4, 0), line(4, 50, 56, 50)],
  ],
  [
    [loop(32, 0, 52, 12, 54, 34, 44, 52, 28, 54, 10, 46, 4, 28, 12, 8), curve(55, 26, 54, 66, 42, 100)],
    [curve(12, 98, 36, 78, 54, 46, 52, 16, 30, 0, 8, 12, 6, 36, 26, 52, 50, 38)],
    [curve(50, 12, 30, 0, 8, 14, 6, 38, 26, 50, 48, 32, 52, 8), line(52, 8, 46, 100)],
    [line(4, 100, 56, 100, 56, 0, 4, 0, 4, 50, 56, 50)],
  ],
];
