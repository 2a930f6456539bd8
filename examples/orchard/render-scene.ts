import { Canvas, type Colour, mix } from '../drawing/canvas.ts';
import { type Random, randomStream } from '../drawing/random.ts';

export const FRUITS = ['apple', 'pear', 'plum'] as const;

export interface Fruit {
  /** Index into FRUITS. */
  readonly kind: number;
  /** Box in pixels. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  /** RGB, 8 bits. */
  readonly data: Uint8Array;
  readonly fruits: readonly Fruit[];
}

/** From unripe to ripe. */
const SKIN: readonly (readonly [Colour, Colour])[] = [
  [
    [150, 190, 60],
    [205, 30, 40],
  ],
  [
    [140, 180, 50],
    [225, 200, 70],
  ],
  [
    [110, 60, 130],
    [50, 30, 110],
  ],
];
/** At most this much of the smaller of two boxes is covered by the other. */
const MAX_OVERLAP = 0.25;

/** Half the width of a fruit at a height of -1 (top) to 1, as a share of its half height. */
function profile(kind: number, v: number): number {
  const round = Math.sqrt(Math.max(0, 1 - v * v));
  if (kind === 0) return round * 0.97;
  // A pear is narrow above and wide below; a plum is a long oval.
  return kind === 1 ? round * (0.5 + 0.16 * (v + 1)) : round * 0.7;
}

function drawGround(canvas: Canvas, random: Random): void {
  const side = canvas.width;
  const [sky, grass] = [
    [150 + random.below(60), 180 + random.below(50), 215 + random.below(40)],
    [60 + random.below(50), 95 + random.below(50), 40 + random.below(40)],
  ] as unknown as [Colour, Colour];
  const horizon = random.between(-0.2, 0.6);
  for (let y = 0; y < side; y += 1) {
    const share = 1 / (1 + Math.exp(-12 * (y / side - horizon)));
    for (let x = 0; x < side; x += 1) canvas.blend(x, y, mix(sky, grass, share), 1);
  }
  const twigs = 2 + random.below(4);
  for (let i = 0; i < twigs; i += 1) {
    const [x, y, angle] = [random.between(0, side), random.between(0, side), random.between(0, Math.PI)];
    canvas.oval(x, y, random.between(0.3, 0.8) * side, random.between(1, 2.5), angle, [85, 60, 40]);
  }
  const leaves = 30 + random.below(60);
  for (let i = 0; i < leaves; i += 1) {
    const green: Colour = [30 + random.below(70), 80 + random.below(90), 20 + random.below(50)];
    canvas.oval(
      random.between(0, side),
      random.between(0, side),
      random.between(3, 9),
      random.between(1.5, 4),
      random.between(0, Math.PI),
      green,
    );
  }
}

function drawFruit(canvas: Canvas, { kind, x, y, width, height }: Fruit, random: Random): void {
  const [unripe, ripe] = SKIN[kind] ?? [
    [0, 0, 0],
    [0, 0, 0],
  ];
  const ripeness = random.between(0.35, 1);
  const [lightX, lightY] = [random.between(-0.6, 0.6), random.between(-0.8, -0.1)];
  for (let row = Math.floor(y); row < y + height; row += 1) {
    const v = ((row + 0.5 - y) / height) * 2 - 1;
    const half = profile(kind, v);
    const widest = kind === 0 ? 0.97 : kind === 1 ? 0.73 : 0.7;
    for (let column = Math.floor(x); column < x + width; column += 1) {
      const u = (((column + 0.5 - x) / width) * 2 - 1) * widest;
      if (Math.abs(u) > half) continue;
      const shade = 1.1 - 0.55 * Math.hypot(u - lightX, v - lightY);
      const colour = mix(unripe, ripe, Math.min(1, Math.max(0, ripeness + 0.3 * u * lightX)));
      const lit = colour.map((value) => value * Math.max(0.35, shade)) as unknown as Colour;
      canvas.blend(column, row, lit, Math.min(1, (half - Math.abs(u)) * width + 0.3));
    }
  }
  canvas.oval(x + width / 2, y, height * 0.12 + 1, 1.2, Math.PI / 2 + random.between(-0.4, 0.4), [80, 55, 35]);
  if (random.unit() < 0.35) {
    const green: Colour = [40 + random.below(50), 100 + random.below(70), 30];
    canvas.oval(
      x + width * random.unit(),
      y + height * random.between(0, 0.4),
      width * 0.3,
      width * 0.12,
      random.between(0, Math.PI),
      green,
    );
  }
}

function overlapOf(a: Fruit, b: Fruit): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return width <= 0 || height <= 0 ? 0 : (width * height) / Math.min(a.width * a.height, b.width * b.height);
}

function placeFruits(side: number, random: Random): Fruit[] {
  const wanted = random.below(7);
  const fruits: Fruit[] = [];
  for (let tries = 0; fruits.length < wanted && tries < 60; tries += 1) {
    const kind = random.below(FRUITS.length);
    const height = Math.round(random.between(0.12, 0.34) * side);
    const width = Math.round(height * (kind === 0 ? 0.97 : kind === 1 ? 0.73 : 0.7));
    const fruit = { kind, width, height, x: random.below(side - width), y: random.below(side - height) };
    if (fruits.every((other) => overlapOf(fruit, other) <= MAX_OVERLAP)) fruits.push(fruit);
  }
  return fruits;
}

/** Draws a tree with up to six fruits before it; the same keys draw the same scene. */
export function renderScene(side: number, ...keys: readonly number[]): Scene {
  const random = randomStream(...keys);
  const canvas = new Canvas(side, side);
  drawGround(canvas, random);
  const fruits = placeFruits(side, random);
  for (const fruit of fruits) drawFruit(canvas, fruit, random);
  const data = canvas.expose(random.between(0.75, 1.15), random.between(2, 9), random);
  return { width: side, height: side, data, fruits };
}
