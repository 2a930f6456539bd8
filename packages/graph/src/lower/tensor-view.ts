import { elementCount } from '../onnx/index.ts';

/**
 * A value of the model together with how it lies in memory. Memory is a row-major block of `atoms` (sizes, outermost
 * first, none of them 1); each dimension of the model is made of some of these atoms, again outermost first. Transposing,
 * merging and splitting dimensions then changes the view alone, and no data moves until an operation asks for an order.
 */
export interface TensorView {
  /** Index of the value in the graph. */
  readonly value: number;
  readonly atoms: readonly number[];
  /** For every dimension of the model: indices into `atoms`. */
  readonly axes: readonly (readonly number[])[];
}

/** View of memory that lies in the given order of dimensions. */
export function viewOf(value: number, shape: readonly number[], order: readonly number[] = shape.map((_, i) => i)): TensorView {
  const kept = order.filter((axis) => shape[axis] !== 1);
  return {
    value,
    atoms: kept.map((axis) => shape[axis] ?? 1),
    axes: shape.map((_, axis) => (kept.includes(axis) ? [kept.indexOf(axis)] : [])),
  };
}

/** Sizes of the dimensions, as the model sees them. */
export function shapeOf(view: TensorView): number[] {
  return view.axes.map((atoms) => elementCount(atoms.map((atom) => view.atoms[atom] ?? 1)));
}

export function transposed(view: TensorView, perm: readonly number[]): TensorView {
  return { ...view, axes: perm.map((axis) => view.axes[axis] ?? []) };
}

/** Whether the dimensions, in this order, lie one after another in memory. */
export function liesIn(view: TensorView, order: readonly number[]): boolean {
  return order.flatMap((axis) => view.axes[axis] ?? []).every((atom, i) => atom === i);
}

export const NHWC: readonly number[] = [0, 2, 3, 1];

/** The order in which the dimensions lie in memory; undefined when the atoms of one of them are scattered. */
export function memoryOrder(view: TensorView): readonly number[] | undefined {
  const asShape = view.axes.map((_, i) => i);
  if (view.axes.length === 4 && liesIn(view, NHWC)) return NHWC;
  if (liesIn(view, asShape)) return asShape;
  const sorted = [...asShape].sort((a, b) => (view.axes[a]?.[0] ?? -1) - (view.axes[b]?.[0] ?? -1));
  return liesIn(view, sorted) ? sorted : undefined;
}

interface Splitting {
  readonly atoms: number[];
  /** Old atom -> new atoms. */
  readonly parts: number[][];
}

function splitAtoms(view: TensorView, sizes: ReadonlyMap<number, readonly number[]>): Splitting {
  const atoms: number[] = [];
  const parts: number[][] = [];
  for (const [i, size] of view.atoms.entries()) {
    const pieces = sizes.get(i) ?? [size];
    parts.push(pieces.map((_, k) => atoms.length + k));
    atoms.push(...pieces);
  }
  return { atoms, parts };
}

/**
 * The view with other dimensions over the same elements in the same row-major order.
 *
 * @returns undefined when a new dimension cuts atoms in a way that only moving the data can do.
 */
export function reshaped(view: TensorView, shape: readonly number[]): TensorView | undefined {
  const queue = view.axes.flat().map((atom) => ({ atom, left: view.atoms[atom] ?? 1 }));
  const pieces = new Map<number, number[]>();
  const axes: { atom: number; piece: number }[][] = [];
  for (const size of shape) {
    const axis: { atom: number; piece: number }[] = [];
    let need = size;
    while (need > 1) {
      const head = queue[0];
      if (!head) return undefined;
      const take = need % head.left === 0 ? head.left : head.left % need === 0 ? need : 0;
      if (take === 0) return undefined;
      const list = pieces.get(head.atom) ?? [];
      axis.push({ atom: head.atom, piece: list.length });
      pieces.set(head.atom, [...list, take]);
      head.left /= take;
      need /= take;
      if (head.left === 1) queue.shift();
    }
    axes.push(axis);
  }
  if (queue.length > 0) return undefined;
  const { atoms, parts } = splitAtoms(view, pieces);
  return { value: view.value, atoms, axes: axes.map((axis) => axis.map(({ atom, piece }) => parts[atom]?.[piece] ?? 0)) };
}

/** How to bring memory into an order: merged sizes as they lie, and the permutation of those; undefined if they lie so. */
export function permutationTo(view: TensorView, order: readonly number[]): { dims: number[]; perm: number[] } | undefined {
  const wanted = order.flatMap((axis) => view.axes[axis] ?? []);
  if (wanted.every((atom, i) => atom === i)) return undefined;
  // Atoms that stay neighbours move as one.
  const runs: number[][] = [];
  for (const atom of wanted) {
    const run = runs.at(-1);
    if (run && run.at(-1) === atom - 1) run.push(atom);
    else runs.push([atom]);
  }
  const lying = [...runs].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
  return {
    dims: lying.map((run) => elementCount(run.map((atom) => view.atoms[atom] ?? 1))),
    perm: runs.map((run) => lying.indexOf(run)),
  };
}
