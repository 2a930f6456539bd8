import { createRandom } from '@selvedge/graph/train';

/** Keeps the stream apart from those of weights, shuffling and dropout, which start from the same seed. */
const STREAM = 0x5417;

export interface ShiftOptions {
  /** [C, H, W] */
  readonly sampleShape: readonly number[];
  /** Largest shift in each direction, in pixels. */
  readonly shift: number;
  readonly seed: number;
  /** Step of the training: the same seed and step give the same shifts. */
  readonly step: number;
}

/** Moves each picture of a batch by a random whole number of pixels, in place; what comes in at the edge repeats the edge. */
export function shiftBatch(batch: Float32Array, { sampleShape, shift, seed, step }: ShiftOptions): void {
  if (shift === 0) return;
  const [channels = 1, height = 1, width = 1] = sampleShape;
  const size = channels * height * width;
  const random = createRandom(seed, STREAM, step);
  const draw = () => Math.floor(random.uniform() * (2 * shift + 1)) - shift;
  const source = new Float32Array(size);
  for (let start = 0; start < batch.length; start += size) {
    const [dy, dx] = [draw(), draw()];
    source.set(batch.subarray(start, start + size));
    let to = start;
    for (let c = 0; c < channels; c += 1) {
      for (let y = 0; y < height; y += 1) {
        const row = (c * height + clamp(y - dy, height)) * width;
        for (let x = 0; x < width; x += 1) batch[to++] = source[row + clamp(x - dx, width)] ?? 0;
      }
    }
  }
}

function clamp(position: number, length: number): number {
  return Math.min(length - 1, Math.max(0, position));
}
