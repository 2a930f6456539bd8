import type { Random } from '../drawing/random.ts';
import { GLYPH_HEIGHT, GLYPH_WIDTH, GLYPHS, type Point, type Stroke } from './glyphs.ts';

/** A picture as bytes: rows from the top, R G B per pixel. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

const MIN_EDGE_PX = 32;
const MAX_EDGE_PX = 48;
/** Smallest difference of brightness (0..255) between digit and background: low enough to be hard, high enough to be read. */
const MIN_CONTRAST = 75;
const CURVE_STEPS = 6;

type Colour = readonly [red: number, green: number, blue: number];

function luma([red, green, blue]: Colour): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function randomColour(random: Random): Colour {
  const base = random.between(15, 240);
  const channel = (): number => Math.min(250, Math.max(5, base + random.between(-45, 45)));
  return [channel(), channel(), channel()];
}

function contrastingColours(random: Random): { paper: Colour; ink: Colour } {
  for (;;) {
    const paper = randomColour(random);
    const ink = randomColour(random);
    if (Math.abs(luma(paper) - luma(ink)) >= MIN_CONTRAST) return { paper, ink };
  }
}

/** A Catmull-Rom curve through b and c, at t = 0..1 between them. */
function between(a: Point, b: Point, c: Point, d: Point, t: number): Point {
  const along = (axis: 0 | 1): number => {
    const straight = c[axis] - a[axis];
    const bend = 2 * a[axis] - 5 * b[axis] + 4 * c[axis] - d[axis];
    const twist = 3 * (b[axis] - c[axis]) + d[axis] - a[axis];
    return b[axis] + (t / 2) * (straight + t * (bend + t * twist));
  };
  return [along(0), along(1)];
}

/** The stroke as a chain of straight pieces. */
function flatten(stroke: Stroke): Point[] {
  const { points, closed, smooth } = stroke;
  if (!smooth) return [...points];
  const count = points.length;
  const at = (i: number): Point => points[closed ? (i + count) % count : Math.min(Math.max(i, 0), count - 1)] ?? [0, 0];
  const chain: Point[] = [at(0)];
  for (let i = 0; i < (closed ? count : count - 1); i++) {
    for (let step = 1; step <= CURVE_STEPS; step++) chain.push(between(at(i - 1), at(i), at(i + 1), at(i + 2), step / CURVE_STEPS));
  }
  return chain;
}

/** Lowers the distance of every pixel within `reach` of the piece a-b. */
function stampPiece(distance: Float32Array, width: number, height: number, a: Point, b: Point, reach: number): void {
  const [ax, ay] = a;
  const dx = b[0] - ax;
  const dy = b[1] - ay;
  const lengthSquared = dx * dx + dy * dy;
  const left = Math.max(0, Math.floor(Math.min(ax, b[0]) - reach));
  const right = Math.min(width - 1, Math.ceil(Math.max(ax, b[0]) + reach));
  const top = Math.max(0, Math.floor(Math.min(ay, b[1]) - reach));
  const bottom = Math.min(height - 1, Math.ceil(Math.max(ay, b[1]) + reach));
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - ax;
      const py = y + 0.5 - ay;
      const t = lengthSquared > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / lengthSquared)) : 0;
      const d = Math.sqrt((px - t * dx) ** 2 + (py - t * dy) ** 2);
      const at = y * width + x;
      if (d < (distance[at] ?? 0)) distance[at] = d;
    }
  }
}

/** How much of each pixel the pen covers, 0..1, for strokes given in pixels. */
function coverage(width: number, height: number, chains: readonly (readonly Point[])[], penWidth: number): Float32Array {
  const reach = penWidth / 2 + 1;
  const cover = new Float32Array(width * height).fill(reach);
  for (const chain of chains) {
    chain.forEach((point, i) => {
      const previous = chain[i - 1];
      if (previous) stampPiece(cover, width, height, previous, point, reach);
    });
  }
  return cover.map((d) => Math.min(1, Math.max(0, penWidth / 2 + 0.5 - d)));
}

/** Puts a glyph into the picture: each point a little off, then sheared, scaled, turned and moved. */
function placeGlyph(label: number, width: number, height: number, random: Random): Point[][] {
  const styles = GLYPHS[label] ?? [];
  const glyph = styles[random.below(styles.length)] ?? [];
  const wobble = random.between(0, 3);
  const angle = (random.normal() * 7 * Math.PI) / 180;
  const shear = random.normal() * 0.1;
  const scaleY = (random.between(0.6, 0.84) * height) / GLYPH_HEIGHT;
  const scaleX = Math.min(scaleY * random.between(0.75, 1.25), (0.8 * width) / GLYPH_WIDTH);
  const centreX = width / 2 + random.between(-0.07, 0.07) * width;
  const centreY = height / 2 + random.between(-0.06, 0.06) * height;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const place = ([x, y]: Point): Point => {
    const v = (y - GLYPH_HEIGHT / 2) * scaleY;
    const u = (x - GLYPH_WIDTH / 2) * scaleX - v * shear;
    return [centreX + u * cos - v * sin, centreY + u * sin + v * cos];
  };
  return glyph.map((stroke) => {
    const points = stroke.points.map(([x, y]): Point => [x + random.normal() * wobble, y + random.normal() * wobble]);
    return flatten({ ...stroke, points }).map(place);
  });
}

/** Thin lines across the picture, as on ruled or scratched surfaces. */
function scratches(width: number, height: number, random: Random): Point[][] {
  const count = random.unit() < 0.5 ? 0 : 1 + random.below(3);
  const anywhere = (): Point => [random.between(-0.2, 1.2) * width, random.between(-0.2, 1.2) * height];
  return Array.from({ length: count }, () => [anywhere(), anywhere()]);
}

/** Blurs in place along one axis with the kernel (side, 1 - 2 side, side); edge pixels are repeated. */
function blurAxis(pixels: Float32Array, lines: number, lineStep: number, count: number, step: number, side: number): void {
  for (let line = 0; line < lines; line++) {
    for (let channel = 0; channel < 3; channel++) {
      let at = line * lineStep + channel;
      let before = pixels[at] ?? 0;
      for (let i = 0; i < count; i++) {
        const here = pixels[at] ?? 0;
        const after = i + 1 < count ? (pixels[at + step] ?? 0) : here;
        pixels[at] = here + side * (before - 2 * here + after);
        before = here;
        at += step;
      }
    }
  }
}

function paint(width: number, height: number, digit: Float32Array, lines: Float32Array, random: Random): Float32Array {
  const { paper, ink } = contrastingColours(random);
  const lineColour = randomColour(random);
  const lineStrength = random.between(0.1, 0.45);
  const slopeX = random.normal() * 0.18;
  const slopeY = random.normal() * 0.18;
  const pixels = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const light = 1 + slopeX * ((2 * x) / width - 1) + slopeY * ((2 * y) / height - 1);
      const inked = digit[at] ?? 0;
      const scratched = (lines[at] ?? 0) * lineStrength;
      for (let c = 0; c < 3; c++) {
        const base = (paper[c] ?? 0) + ((ink[c] ?? 0) - (paper[c] ?? 0)) * inked;
        pixels[at * 3 + c] = (base + ((lineColour[c] ?? 0) - base) * scratched) * light;
      }
    }
  }
  return pixels;
}

/**
 * Draws one digit as a camera might see it: any style, turned, shifted, sheared, thick or thin, in two colours of enough
 * contrast, under uneven light, with scratches, blur and noise.
 *
 * @param label - 0..9.
 * @param random - decides everything else; the same stream gives the same picture.
 * @returns RGB, each edge 32..48 pixels.
 */
export function renderDigit(label: number, random: Random): Picture {
  const width = MIN_EDGE_PX + random.below(MAX_EDGE_PX - MIN_EDGE_PX + 1);
  const height = Math.max(MIN_EDGE_PX, Math.min(MAX_EDGE_PX, width + random.below(9) - 4));
  const penWidth = random.between(0.05, 0.13) * height;
  const digit = coverage(width, height, placeGlyph(label, width, height, random), penWidth);
  const lines = coverage(width, height, scratches(width, height, random), random.between(0.7, 2));
  const pixels = paint(width, height, digit, lines, random);
  const passes = random.below(3);
  for (let pass = 0; pass < passes; pass++) {
    blurAxis(pixels, height, width * 3, width, 3, 0.22);
    blurAxis(pixels, width, 3, height, width * 3, 0.22);
  }
  const noise = random.between(2, 13);
  const data = Buffer.allocUnsafe(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const brightness = random.normal() * noise;
    for (let c = 0; c < 3; c++) {
      const value = (pixels[at + c] ?? 0) + brightness + random.normal() * noise * 0.5;
      data[at + c] = Math.min(255, Math.max(0, Math.round(value)));
    }
  }
  return { width, height, data };
}
