import type { TensorView } from './tensor-view.ts';

/** One or two spatial sizes as [height, width]; one dimension becomes the width. */
export function pair(sizes: readonly number[], height = 1): [number, number] {
  const [first = 1, second] = sizes;
  return second === undefined ? [height, first] : [first, second];
}

/** Pads as ONNX writes them (all begins, then all ends) as [top, right, bottom, left]. */
export function sides(pads: readonly number[]): [number, number, number, number] {
  const rank = pads.length / 2;
  const [top, left] = pair(pads.slice(0, rank), 0);
  const [bottom, right] = pair(pads.slice(rank), 0);
  return [top, right, bottom, left];
}

/** [N, C, L] as [N, C, 1, L]; four dimensions as they are. */
export function withHeight(view: TensorView): TensorView {
  const [n = [], c = [], length = []] = view.axes;
  return view.axes.length === 3 ? { ...view, axes: [n, c, [], length] } : view;
}

/** The other way round, where the model has `rank` dimensions. */
export function withoutHeight(view: TensorView, rank: number): TensorView {
  return rank === 3 ? { ...view, axes: view.axes.toSpliced(2, 1) } : view;
}
