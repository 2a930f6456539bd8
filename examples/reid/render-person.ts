import { Canvas, type Colour, mix } from '../drawing/canvas.ts';
import { type Random, randomStream } from '../drawing/random.ts';

/** What a person keeps from one camera to the next. */
interface Person {
  readonly skin: Colour;
  readonly hair: Colour;
  readonly hasLongHair: boolean;
  readonly top: Colour;
  readonly second: Colour;
  readonly pattern: 'plain' | 'hoops' | 'stripes' | 'halves';
  readonly legs: Colour;
  readonly wearsSkirt: boolean;
  readonly shoes: Colour;
  /** Height and girth as factors. */
  readonly tall: number;
  readonly wide: number;
  readonly bag: 'none' | 'left' | 'right';
  readonly bagColour: Colour;
}

export interface Sighting {
  readonly width: number;
  readonly height: number;
  /** RGB, 8 bits. */
  readonly data: Uint8Array;
}

const WIDTH = 32;
const HEIGHT = 64;
const PATTERNS = ['plain', 'hoops', 'stripes', 'halves'] as const;
const BAGS = ['none', 'left', 'right'] as const;
const HAIR: readonly Colour[] = [
  [30, 25, 20],
  [90, 55, 30],
  [190, 150, 80],
  [150, 150, 150],
  [150, 60, 30],
];
const DARK_SKIN: Colour = [95, 65, 50];
const LIGHT_SKIN: Colour = [235, 195, 170];

const anyColour = (random: Random): Colour => [20 + random.below(220), 20 + random.below(220), 20 + random.below(220)];
const oneOf = <T>(random: Random, list: readonly [T, ...T[]] | readonly T[]): T => list[random.below(list.length)] as T;

function personOf(seed: number, identity: number): Person {
  const random = randomStream(seed, 7, identity);
  return {
    skin: mix(DARK_SKIN, LIGHT_SKIN, random.unit()),
    hair: oneOf(random, HAIR),
    hasLongHair: random.unit() < 0.4,
    top: anyColour(random),
    second: anyColour(random),
    pattern: oneOf(random, PATTERNS),
    legs: anyColour(random),
    wearsSkirt: random.unit() < 0.25,
    shoes: anyColour(random),
    tall: random.between(0.85, 1),
    wide: random.between(0.8, 1.15),
    bag: oneOf(random, BAGS),
    bagColour: anyColour(random),
  };
}

function drawStreet(canvas: Canvas, random: Random): void {
  const [wall, ground] = [anyColour(random), anyColour(random)].map((colour) => mix(colour, [128, 128, 128], 0.6)) as [Colour, Colour];
  const kerb = random.between(0.55, 0.9) * HEIGHT;
  for (let y = 0; y < HEIGHT; y += 1) for (let x = 0; x < WIDTH; x += 1) canvas.blend(x, y, y < kerb ? wall : ground, 1);
  for (let i = random.below(5); i > 0; i -= 1)
    canvas.oval(
      random.below(WIDTH),
      random.below(HEIGHT),
      random.between(4, 20),
      random.between(2, 8),
      random.between(0, 3),
      anyColour(random),
    );
}

/** Colour of the upper body at a place from -1 to 1 across and from 0 to 1 down. */
function topColour({ pattern, top, second }: Person, across: number, down: number): Colour {
  if (pattern === 'hoops') return Math.floor(down * 6) % 2 === 0 ? top : second;
  if (pattern === 'stripes') return Math.floor((across + 1) * 3) % 2 === 0 ? top : second;
  return pattern === 'halves' && down > 0.5 ? second : top;
}

/** Fills the rows from `from` to `to` (shares of the person's height) with a body that is `half(down)` wide on each side. */
function drawPart(
  canvas: Canvas,
  frame: { centre: number; top: number; height: number },
  [from, to]: readonly [number, number],
  half: (down: number) => number,
  colour: (across: number, down: number) => Colour,
): void {
  const [first, last] = [frame.top + from * frame.height, frame.top + to * frame.height];
  for (let y = Math.round(first); y < last; y += 1) {
    const down = (y - first) / (last - first);
    const reach = half(down);
    for (let x = Math.ceil(frame.centre - reach); x <= frame.centre + reach; x += 1)
      canvas.blend(x, y, colour((x - frame.centre) / reach, down), Math.min(1, reach + 1 - Math.abs(x - frame.centre)));
  }
}

function drawPerson(canvas: Canvas, person: Person, random: Random): void {
  const scale = random.between(0.85, 1) * person.tall;
  const height = HEIGHT * scale;
  const frame = { centre: WIDTH / 2 + random.between(-3, 3), top: random.between(0, HEIGHT - height), height };
  const girth = 6.5 * scale * person.wide;
  const swing = random.between(-0.6, 0.6) * girth;
  const at = (share: number): number => frame.top + share * height;
  for (const side of [-1, 1]) {
    const foot = frame.centre + side * (girth * 0.4 + swing * 0.6);
    const knee = (frame.centre + side * girth * 0.4 + foot) / 2;
    canvas.oval(
      knee,
      at(0.75),
      0.22 * height,
      girth * 0.42,
      Math.PI / 2 - (side * swing) / height,
      person.wearsSkirt ? person.skin : person.legs,
    );
    canvas.oval(foot + 1, at(0.97), 2.6, 1.6, 0, person.shoes);
  }
  if (person.wearsSkirt)
    drawPart(
      canvas,
      frame,
      [0.5, 0.7],
      (down) => girth * (0.8 + 0.35 * down),
      () => person.legs,
    );
  for (const side of [-1, 1])
    canvas.oval(
      frame.centre + side * girth * 1.05,
      at(0.36),
      0.17 * height,
      girth * 0.26,
      Math.PI / 2 + side * random.between(-0.1, 0.4),
      person.top,
    );
  drawPart(
    canvas,
    frame,
    [0.19, 0.54],
    (down) => girth * (1 - 0.18 * down),
    (across, down) => topColour(person, across, down),
  );
  if (person.hasLongHair) canvas.oval(frame.centre, at(0.16), 0.13 * height, girth * 0.66, Math.PI / 2, person.hair);
  canvas.oval(frame.centre, at(0.1), 0.1 * height, girth * 0.55, Math.PI / 2, person.skin);
  canvas.oval(frame.centre, at(0.045), girth * 0.55, 0.05 * height, 0, person.hair);
  if (person.bag !== 'none')
    canvas.oval(frame.centre + (person.bag === 'left' ? -1 : 1) * girth * 1.2, at(0.5), 4, 2.8, Math.PI / 2, person.bagColour);
}

/** Something that stands before the person's legs or side, in a third of the pictures. */
function drawObstacle(canvas: Canvas, random: Random): void {
  if (random.unit() > 0.33) return;
  canvas.oval(
    random.below(WIDTH),
    random.between(0.7, 1) * HEIGHT,
    random.between(5, 12),
    random.between(3, 8),
    random.between(0, 3),
    anyColour(random),
  );
}

/** Draws a person as a camera sees them on one of many days; the same arguments draw the same picture. */
export function renderPerson(seed: number, identity: number, index: number): Sighting {
  const random = randomStream(seed, 8, identity, index);
  const canvas = new Canvas(WIDTH, HEIGHT);
  drawStreet(canvas, random);
  drawPerson(canvas, personOf(seed, identity), random);
  drawObstacle(canvas, random);
  return { width: WIDTH, height: HEIGHT, data: canvas.expose(random.between(0.6, 1.2), random.between(2, 8), random) };
}
