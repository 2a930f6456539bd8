import { describe, expect, it } from 'vitest';
import { type DetectionGrid, detectionTargets, detectionTargetsLength, gridCells, prepareGrid, type TargetBox } from './index.ts';

const GRID: DetectionGrid = { width: 32, height: 32, strides: [8], classes: 2 };
const CELLS = 16;

/** The values of one cell: left, top, right, bottom, weight, classes. */
const cellOf = (targets: Float32Array, cell: number, cells = CELLS): number[] =>
  Array.from({ length: targets.length / cells }, (_, row) => targets[row * cells + cell] ?? Number.NaN);
const positives = (targets: Float32Array, cells = CELLS): number[] =>
  Array.from({ length: cells }, (_, cell) => cell).filter((cell) => (targets[4 * cells + cell] ?? 0) > 0);

const PREPARED = prepareGrid(GRID);

describe('detectionTargets', () => {
  it('gives the distances to the edges in strides, from the centre of the cell', () => {
    const targets = detectionTargets([{ box: [4, 0, 20, 16], index: 1 }], PREPARED);
    expect(targets).toHaveLength(detectionTargetsLength(PREPARED));
    // Cell 0 has its centre at (4, 4), on the left edge; cell 1 at (12, 4), in the middle of the box's width.
    expect(positives(targets)).toEqual([1, 5]);
    expect(cellOf(targets, 1)).toEqual([1, 0.5, 1, 1.5, 1, 0, 1]);
    expect(cellOf(targets, 5)).toEqual([1, 1.5, 1, 0.5, 1, 0, 1]);
    expect(cellOf(targets, 15)).toEqual([1, 1, 1, 1, 0, 0, 0]);
  });

  it('rates the cells of a box by how evenly they divide it, the best one with 1', () => {
    const targets = detectionTargets([{ box: [0, 0, 24, 24], index: 0 }], PREPARED);
    expect(positives(targets)).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10]);
    expect(cellOf(targets, 5)).toEqual([1.5, 1.5, 1.5, 1.5, 1, 1, 0]);
    // 4 pixels on one side and 20 on the other, in one direction or in both.
    expect(cellOf(targets, 4)[4]).toBeCloseTo(Math.sqrt(4 / 20), 6);
    expect(cellOf(targets, 0)[5]).toBeCloseTo(4 / 20, 6);
  });

  it('gives a box that lies between the centres to the nearest cell', () => {
    const targets = detectionTargets([{ box: [6, 6, 9, 9], index: 0 }], PREPARED);
    expect(positives(targets)).toEqual([0]);
    const [left = 0, , right = 0, , weight] = cellOf(targets, 0);
    expect(left).toBeCloseTo(0.02, 6);
    expect(right).toBeCloseTo(5 / 8, 6);
    expect(weight).toBe(1);
  });

  it('lets the smaller box have a cell that two want, in any order', () => {
    const boxes: TargetBox[] = [
      { box: [0, 0, 32, 32], index: 0 },
      { box: [8, 8, 16, 16], index: 1 },
    ];
    const targets = detectionTargets(boxes, PREPARED);
    expect(cellOf(targets, 5)).toEqual([0.5, 0.5, 0.5, 0.5, 1, 0, 1]);
    expect(cellOf(targets, 10)[5]).toBe(1);
    expect(detectionTargets(boxes.toReversed(), PREPARED)).toEqual(targets);
  });

  it('gives boxes of 64 pixels and more to the coarser level', () => {
    const grid: DetectionGrid = { width: 128, height: 128, strides: [8, 16], classes: 1 };
    const cells = gridCells(grid);
    const levels = (box: [number, number, number, number]) => {
      const targets = detectionTargets([{ box, index: 0 }], prepareGrid(grid));
      return [...new Set(positives(targets, cells.length).map((cell) => cells[cell]?.stride))];
    };
    expect(levels([10, 10, 73, 40])).toEqual([8]);
    expect(levels([10, 10, 74, 40])).toEqual([16]);
    expect(levels([-20, -20, 140, 140])).toEqual([16]);
  });

  it('refuses boxes without area and unknown classes', () => {
    const refused = expect.objectContaining({ code: 'INPUT_INVALID' });
    expect(() => detectionTargets([{ box: [4, 4, 4, 8], index: 0 }], PREPARED)).toThrow(refused);
    expect(() => detectionTargets([{ box: [4, 4, Number.NaN, 8], index: 0 }], PREPARED)).toThrow(refused);
    expect(() => detectionTargets([{ box: [4, 4, 8, 8], index: 2 }], PREPARED)).toThrow(refused);
  });
});
