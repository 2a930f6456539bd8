// Synthetic pictures from a seed: gradients, shapes, stripes and noise, so that layers see values as photographs give them.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom } from '@selvedge/graph/onnx';
import type { RawImage } from '@selvedge/graph/ops';
import sharp from 'sharp';

type Random = ReturnType<typeof createRandom>;
type Colour = readonly [number, number, number];
/** Whether the shape covers the point. */
type Shape = (x: number, y: number) => boolean;

const SHAPES = [6, 18] as const;
const NOISE = 9;

const between = (random: Random, low: number, high: number): number => low + random.uniform() * (high - low);
const colour = (random: Random): Colour => [between(random, 0, 255), between(random, 0, 255), between(random, 0, 255)];

/** A box, an ellipse or stripes, somewhere. */
function shapeIn(random: Random, width: number, height: number): Shape {
  const [cx, cy] = [between(random, 0, width), between(random, 0, height)];
  const [rx, ry] = [between(random, 0.02, 0.25) * width, between(random, 0.02, 0.25) * height];
  const kind = random.uniform();
  if (kind < 0.4) return (x, y) => Math.abs(x - cx) < rx && Math.abs(y - cy) < ry;
  if (kind < 0.8) return (x, y) => ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1;
  const period = between(random, 4, 24);
  return (x, y) => Math.abs(x - cx) < rx && Math.abs(y - cy) < ry && (x + y) % period < period / 2;
}

/** The same seed and size give the same pixels: RGB, rows from the top. */
export function drawPicture(seed: number, width: number, height: number): RawImage {
  const random = createRandom(seed, width, height);
  const corners = [colour(random), colour(random), colour(random), colour(random)] as const;
  const count = Math.floor(between(random, SHAPES[0], SHAPES[1]));
  const shapes = Array.from({ length: count }, () => ({ covers: shapeIn(random, width, height), ink: colour(random) }));
  const data = new Uint8Array(width * height * 3);
  let state = random.uint32() | 1;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = [x / width, y / height];
      const top = shapes.findLast(({ covers }) => covers(x, y));
      for (let c = 0; c < 3; c++, at++) {
        const [a, b, d, e] = corners.map((corner) => corner[c] ?? 0) as [number, number, number, number];
        const base = top?.ink[c] ?? (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + e * u) * v;
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        data[at] = Math.min(255, Math.max(0, base + (state / 0x1_0000_0000 - 0.5) * 2 * NOISE));
      }
    }
  }
  return { width, height, channels: 3, data };
}

export function encodeJpeg({ width, height, data }: RawImage): Promise<Buffer> {
  return sharp(Buffer.from(data), { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

/** Writes `count` pictures as 0000.jpg, ... @returns their paths. */
export async function writePictures(folder: string, seed: number, count: number, width: number, height: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (let index = 0; index < count; index++) {
    const path = join(folder, `${String(index).padStart(4, '0')}.jpg`);
    await writeFile(path, await encodeJpeg(drawPicture(seed + index, width, height)));
    paths.push(path);
  }
  return paths;
}
