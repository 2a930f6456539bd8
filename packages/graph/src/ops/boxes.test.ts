import type { PreprocSpec } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clipBoxes, type LabelledBox, preprocessBoxes } from './boxes.ts';
import type { PixelTensor } from './pixel-tensor.ts';
import { applyPreproc } from './preproc.ts';

/** A dark picture with one bright rectangle. */
function pictureWith([x1, y1, x2, y2]: readonly number[], height: number, width: number): PixelTensor {
  const data = new Float32Array(height * width);
  for (let y = y1 ?? 0; y < (y2 ?? 0); y++) data.fill(255, y * width + (x1 ?? 0), y * width + (x2 ?? 0));
  return { layout: 'HWC', height, width, channels: 1, data };
}

/** The extent of what is brighter than half, which is where the edge of a resized rectangle lies. */
function extentOf({ data, width }: PixelTensor): number[] {
  const lit = [...data].flatMap((value, at) => (value > 127.5 ? [at] : []));
  const [columns, rows] = [lit.map((at) => at % width), lit.map((at) => Math.floor(at / width))];
  return [Math.min(...columns), Math.min(...rows), Math.max(...columns) + 1, Math.max(...rows) + 1];
}

const boxOf = (box: LabelledBox['box']): LabelledBox => ({ box, index: 1 });

describe('preprocessBoxes', () => {
  it('moves boxes as each op moves the pixels', () => {
    const boxes = [boxOf([10, 20, 30, 40])];
    const moved = (spec: PreprocSpec) => preprocessBoxes(boxes, spec, [100, 200])[0]?.box;
    expect(moved({ pipeline: ['resize'], params: { resize: [50, 400] } })).toEqual([20, 10, 60, 20]);
    // 200 x 100 fits into 100 x 100 as 100 x 50 with 25 rows above.
    expect(moved({ pipeline: ['letterbox'], params: { letterbox: { size: [100, 100] } } })).toEqual([5, 35, 15, 45]);
    expect(moved({ pipeline: ['centercrop'], params: { centercrop: [90, 190] } })).toEqual([5, 15, 25, 35]);
    expect(moved({ pipeline: ['centercrop'], params: { centercrop: [111, 211] } })).toEqual([15, 25, 35, 45]);
    expect(moved({ pipeline: ['grayscale', 'hwctochw', 'scale'], params: { scale: [0, 1] } })).toEqual([10, 20, 30, 40]);
  });

  it('cuts boxes at the edge of a crop and drops those that are cut away', () => {
    const boxes = [boxOf([0, 40, 60, 60]), boxOf([0, 0, 20, 20]), boxOf([0, 40, 27, 60])];
    const spec: PreprocSpec = { pipeline: ['centercrop'], params: { centercrop: [50, 50] } };
    expect(preprocessBoxes(boxes, spec, [100, 100])).toEqual([boxOf([0, 15, 35, 35])]);
    expect(clipBoxes([boxOf([0, 0, 10, 10])], [5, 5], 0.3)).toEqual([]);
    expect(clipBoxes([boxOf([0, 0, 10, 10])], [5, 5], 0.25)).toEqual([boxOf([0, 0, 5, 5])]);
  });

  it('puts boxes where the chain of ops puts the rectangle, to less than a pixel', () => {
    const size = fc.integer({ min: 24, max: 60 });
    const arbitrary = fc.record({ height: size, width: size, size: fc.tuple(size, size), crop: fc.tuple(size, size) });
    fc.assert(
      fc.property(arbitrary, fc.constantFrom('resize' as const, 'letterbox' as const), ({ height, width, size, crop }, op) => {
        const box = [Math.floor(width / 3), Math.floor(height / 4), Math.floor(width / 3) + 9, Math.floor(height / 4) + 8] as const;
        const spec: PreprocSpec = {
          pipeline: [op, 'centercrop'],
          params: { resize: size, letterbox: { size, fill: 0 }, centercrop: crop },
        };
        const [moved] = preprocessBoxes([boxOf([...box])], spec, [height, width]);
        const extent = extentOf(applyPreproc(pictureWith(box, height, width), spec));
        if (!moved) return;
        for (const [i, edge] of moved.box.entries()) expect(Math.abs(edge - (extent[i] ?? Number.NaN))).toBeLessThanOrEqual(1);
      }),
    );
  });
});
