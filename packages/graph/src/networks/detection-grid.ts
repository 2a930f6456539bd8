import { AppError } from '@selvedge/contract';

/** The cells of a detector: one per `stride` pixels in both directions, level by level, row by row. */
export interface DetectionGrid {
  /** Of the network's input, in pixels; multiples of every stride. */
  readonly width: number;
  readonly height: number;
  /** Pixels between the cells of each level, ascending; level by level larger boxes. */
  readonly strides: readonly number[];
  readonly classes: number;
}

export interface GridCell {
  /** Centre, in pixels of the input. */
  readonly x: number;
  readonly y: number;
  readonly stride: number;
  /** Index into `strides`. */
  readonly level: number;
}

/** @throws AppError SHAPE_MISMATCH when the picture is not a whole number of cells. */
export function gridCells({ width, height, strides }: DetectionGrid): GridCell[] {
  return strides.flatMap((stride, level) => {
    const [columns, rows] = [width / stride, height / stride];
    if (!Number.isInteger(columns) || !Number.isInteger(rows) || columns < 1 || rows < 1) {
      throw new AppError('SHAPE_MISMATCH', {
        message: `A detector with strides ${strides.join(', ')} cannot read pictures of ${width}x${height}.`,
        hint: `Use width and height that are multiples of ${Math.max(...strides)}.`,
      });
    }
    return Array.from({ length: columns * rows }, (_, i) => ({
      x: ((i % columns) + 0.5) * stride,
      y: (Math.floor(i / columns) + 0.5) * stride,
      stride,
      level,
    }));
  });
}

/** The level whose cells find a box: the first one whose stride is at least an eighth of the longer side, else the last. */
export function levelOf(longerSide: number, strides: readonly number[]): number {
  const level = strides.findIndex((stride) => longerSide < 8 * stride);
  return level < 0 ? strides.length - 1 : level;
}
