import { AppError } from '@selvedge/contract';
import type { Box } from '../ops/index.ts';
import { type DetectionGrid, type GridCell, gridCells, levelOf } from './detection-grid.ts';

/** An object that a detector shall find. */
export interface TargetBox {
  /** [x1, y1, x2, y2] in pixels of the network's input; may reach over its edges. */
  readonly box: Readonly<Box>;
  /** Class; 0..classes-1. */
  readonly index: number;
}

/** left, top, right, bottom, weight; the classes follow. */
const TARGET_ROWS = 5;
/** Cells this many strides from the middle of a box, in both directions, learn to find it. */
const RADIUS = 1.5;
/** A distance in strides may not be smaller, also where the cell lies outside of its box. */
const MIN_DISTANCE = 0.02;

/** A grid with its cells, for targets of many pictures: to lay them out takes longer than to look which of them find a box. */
export interface PreparedGrid {
  readonly grid: DetectionGrid;
  readonly cells: readonly GridCell[];
}

/** @throws AppError SHAPE_MISMATCH when the picture is not a whole number of cells. */
export function prepareGrid(grid: DetectionGrid): PreparedGrid {
  return { grid, cells: gridCells(grid) };
}

interface Assignment {
  readonly cell: number;
  /** In strides. */
  readonly distances: readonly [number, number, number, number];
  /** sqrt of how evenly the cell divides the box in both directions (Tian et al. 2019); 1 for the best cell of a box. */
  quality: number;
}

function distancesFrom({ x, y, stride }: GridCell, [x1, y1, x2, y2]: Readonly<Box>): Assignment['distances'] {
  const reach = (pixels: number) => Math.max(pixels / stride, MIN_DISTANCE);
  return [reach(x - x1), reach(y - y1), reach(x2 - x), reach(y2 - y)];
}

/** Cells that lie inside the box and near its middle; the nearest one where there is none. */
function assign({ grid, cells }: PreparedGrid, box: Readonly<Box>): Assignment[] {
  const [x1, y1, x2, y2] = box;
  const [middleX, middleY] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const level = levelOf(Math.max(x2 - x1, y2 - y1), grid.strides);
  const found: Assignment[] = [];
  let nearest: { cell: number; distance: number } | undefined;
  for (const [i, cell] of cells.entries()) {
    if (cell.level !== level) continue;
    const [dx, dy] = [Math.abs(cell.x - middleX), Math.abs(cell.y - middleY)];
    const distance = dx * dx + dy * dy;
    if (!nearest || distance < nearest.distance) nearest = { cell: i, distance };
    const inside = cell.x > x1 && cell.x < x2 && cell.y > y1 && cell.y < y2;
    if (!inside || Math.max(dx, dy) > RADIUS * cell.stride) continue;
    const [left, top, right, bottom] = distancesFrom(cell, box);
    const evenness = (Math.min(left, right) / Math.max(left, right)) * (Math.min(top, bottom) / Math.max(top, bottom));
    found.push({ cell: i, distances: [left, top, right, bottom], quality: Math.sqrt(evenness) });
  }
  const best = Math.max(...found.map(({ quality }) => quality));
  for (const one of found) one.quality /= best;
  const cell = cells[nearest?.cell ?? -1];
  return found.length > 0 || !nearest || !cell ? found : [{ cell: nearest.cell, distances: distancesFrom(cell, box), quality: 1 }];
}

function check({ box: [x1, y1, x2, y2], index }: TargetBox, classes: number): void {
  if (!(x2 > x1 && y2 > y1) || ![x1, y1, x2, y2].every(Number.isFinite))
    throw new AppError('INPUT_INVALID', { message: `A box must have a width and a height; [${x1}, ${y1}, ${x2}, ${y2}] has not.` });
  if (!Number.isSafeInteger(index) || index < 0 || index >= classes)
    throw new AppError('INPUT_INVALID', { message: `A box has the class ${index}, but the classes are 0..${classes - 1}.` });
}

/** Length of the targets of one picture. */
export function detectionTargetsLength({ grid, cells }: PreparedGrid): number {
  return (TARGET_ROWS + grid.classes) * cells.length;
}

/**
 * What a detector of this grid shall say about one picture, for the loss `detection`. Where two boxes want one cell, the
 * smaller one gets it.
 *
 * @returns float32 [5 + classes, cells]: left, top, right, bottom of the box from the cell's centre, in strides (1 where
 *   there is none); the weight of the box (0 where there is none); per class how well the cell is placed to find it, 0..1.
 *   Those of a batch follow each other.
 * @throws AppError INPUT_INVALID for a box without area or of an unknown class.
 */
export function detectionTargets(boxes: readonly TargetBox[], prepared: PreparedGrid): Float32Array {
  const { grid, cells } = prepared;
  const targets = new Float32Array((TARGET_ROWS + grid.classes) * cells.length);
  targets.fill(1, 0, 4 * cells.length);
  const area = ({ box: [x1, y1, x2, y2] }: TargetBox) => (x2 - x1) * (y2 - y1);
  for (const target of [...boxes].sort((a, b) => area(b) - area(a))) {
    check(target, grid.classes);
    for (const { cell, distances, quality } of assign(prepared, target.box)) {
      for (const [row, distance] of distances.entries()) targets[row * cells.length + cell] = distance;
      targets[4 * cells.length + cell] = quality;
      for (let c = 0; c < grid.classes; c++) targets[(TARGET_ROWS + c) * cells.length + cell] = c === target.index ? quality : 0;
    }
  }
  return targets;
}
