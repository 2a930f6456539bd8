import type { Augment, TensorSet } from '@selvedge/contract';
import { createRandom } from '@selvedge/graph/train';
import { describe, expect, it } from 'vitest';
import { planAugmentation } from './augmentation.ts';

const SIDE = 24;
const PLANE = SIDE * SIDE;
const info: TensorSet = {
  formatVersion: 1,
  labels: ['a', 'b'],
  sampleShape: [3, SIDE, SIDE],
  layout: 'CHW',
  range: { black: [-1, -1, -2], white: [1, 1, 2] },
  splits: {},
};

/** A rectangle of the brightest red on black. */
function pictureWith([x1, y1, x2, y2]: readonly number[]): Float32Array {
  const picture = new Float32Array(3 * PLANE).fill(-1, 0, 2 * PLANE).fill(-2, 2 * PLANE);
  for (let y = y1 ?? 0; y < (y2 ?? 0); y += 1) picture.fill(1, y * SIDE + (x1 ?? 0), y * SIDE + (x2 ?? 0));
  return picture;
}

/** Columns and rows where red is more than half bright. */
function extentOf(picture: Float32Array): number[] {
  const lit = [...picture.subarray(0, PLANE)].flatMap((value, at) => (value > 0 ? [at] : []));
  const [columns, rows] = [lit.map((at) => at % SIDE), lit.map((at) => Math.floor(at / SIDE))];
  return [Math.min(...columns), Math.min(...rows), Math.max(...columns) + 1, Math.max(...rows) + 1];
}

const plan = (options: Augment, seed = 1) => planAugmentation(info, options, seed) ?? expect.unreachable();
const noise = () => {
  const random = createRandom(3);
  return Float32Array.from({ length: 2 * 3 * PLANE }, () => random.uniform() * 2 - 1);
};
const all: Augment = {
  shift: 2,
  flip: 'both',
  crop: 0.3,
  rotate: 20,
  brightness: 0.2,
  contrast: 0.3,
  saturation: 0.5,
  noise: 0.05,
  cutout: 0.4,
};

describe('augmentation', () => {
  it('draws the same for one seed and step, and something else for others', () => {
    const changed = (seed: number, step: number) => {
      const batch = noise();
      plan(all, seed)(batch, [], step);
      return batch;
    };
    expect(changed(1, 5)).toEqual(changed(1, 5));
    expect(changed(1, 6)).not.toEqual(changed(1, 5));
    expect(changed(2, 5)).not.toEqual(changed(1, 5));
    expect(changed(1, 5)).not.toEqual(noise());
  });

  it.each<[string, Augment]>(Object.entries(all).map(([name, value]) => [name, { [name]: value }]))(
    'changes something by %s alone, and stays between black and white',
    (_, options) => {
      const before = noise();
      let differs = false;
      for (let step = 0; step < 8; step += 1) {
        const batch = noise();
        plan(options)(batch, [], step);
        if (batch.some((value, at) => value !== before[at])) differs = true;
        expect(Math.max(...batch)).toBeLessThanOrEqual(2);
        expect(Math.min(...batch)).toBeGreaterThanOrEqual(-2);
      }
      expect(differs).toBe(true);
    },
  );

  it('moves boxes with the pixels: by flip, shift and crop', () => {
    const box = [6, 8, 14, 19];
    for (const options of [{ flip: 'both' }, { shift: 5 }, { crop: 0.4 }, { flip: 'horizontal', shift: 3, crop: 0.2 }] as const) {
      const augment = plan(options);
      let seen = 0;
      for (let step = 0; step < 30; step += 1) {
        const picture = pictureWith(box);
        const [moved = new Float32Array()] = augment(picture, [Float32Array.of(1, ...box)], step);
        const [index, ...edges] = moved;
        if (index === undefined || edges.some((edge) => edge <= 0 || edge >= SIDE)) continue;
        seen += 1;
        expect(index).toBe(1);
        for (const [i, edge] of extentOf(picture).entries()) expect(Math.abs(edge - (edges[i] ?? Number.NaN))).toBeLessThanOrEqual(1);
      }
      expect(seen).toBeGreaterThan(5);
    }
  });

  it('moves by whole pixels and mirrors without blurring, the channels together', () => {
    const batch = Float32Array.from({ length: 3 * PLANE }, (_, i) => i);
    plan({ shift: 4, flip: 'horizontal' })(batch, [], 3);
    expect(batch.every(Number.isInteger)).toBe(true);
    for (let at = 0; at < PLANE; at += 1) expect((batch[at + PLANE] ?? 0) - (batch[at] ?? 0)).toBe(PLANE);
  });

  it('drops boxes of which little is left', () => {
    const augment = plan({ shift: 10 });
    const kept = Array.from(
      { length: 60 },
      (_, step) => augment(pictureWith([0, 0, 6, 6]), [Float32Array.of(0, 0, 0, 6, 6)], step)[0] ?? [],
    );
    expect(kept.some(({ length }) => length === 0)).toBe(true);
    expect(kept.some(({ length }) => length === 5)).toBe(true);
  });

  it('is none where nothing is asked for, and refuses what cannot be', () => {
    expect(planAugmentation(info, undefined, 1)).toBeUndefined();
    expect(planAugmentation(info, { shift: 0, noise: 0 }, 1)).toBeUndefined();
    const table: TensorSet = { ...info, layout: 'vector', sampleShape: [4], range: undefined };
    expect(() => planAugmentation(table, { noise: 0.1 }, 1)).toThrow(/rows of a table/);
    expect(() => planAugmentation({ ...info, sampleShape: [1, 8, 8] }, { saturation: 0.1 }, 1)).toThrow(/3 channels/);
    expect(() => planAugmentation({ ...info, range: undefined }, { noise: 0.1 }, 1)).toThrow(/black and white/);
  });
});
