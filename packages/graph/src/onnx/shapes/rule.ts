import type { DataType, Node, TensorData } from '../model.ts';

/** Sizes, outermost first; null is a size that is only known when the model runs (the batch). */
export type Shape = readonly (number | null)[];

/** What is known of a value before the model runs. */
export interface TensorType {
  readonly type: DataType;
  readonly shape: Shape;
}

/** What a rule may ask about the node whose outputs it describes. */
export interface ShapeContext {
  readonly node: Node;
  readonly opset: number;
  /** The input at `index`; throws MODEL_INVALID when the node leaves it out. */
  input(index: number): TensorType;
  /** The input at `index`, or undefined when the node leaves it out. */
  optional(index: number): TensorType | undefined;
  /** The value of the input at `index` where it is an initializer or a Constant. */
  constant(index: number): TensorData | undefined;
  /** Throws SHAPE_MISMATCH with the node and the shapes of its inputs. */
  mismatch(why: string): never;
  /** Throws OP_UNSUPPORTED with the node. */
  unsupported(why: string): never;
}

/** Gives the types of a node's outputs, in order; throws through the context. */
type ShapeRule = (context: ShapeContext) => TensorType[];

export type ShapeRules = Readonly<Record<string, ShapeRule>>;

/** Turns an axis that may count from the end into 0..rank-1; undefined when out of range. */
export function resolveAxis(axis: number, rank: number): number | undefined {
  const resolved = axis < 0 ? axis + rank : axis;
  return resolved >= 0 && resolved < rank ? resolved : undefined;
}

/** Whether two sizes can be the same: an unknown size fits every other. */
export function fits(a: number | null | undefined, b: number | null | undefined): boolean {
  return a === b || a === null || b === null;
}

/** Shape of an element-wise result, by the broadcasting rule of ONNX (numpy's); undefined when the shapes do not fit. */
export function broadcast(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: (number | null)[] = [];
  for (let i = 0; i < rank; i++) {
    const left = i < rank - a.length ? 1 : (a[i - (rank - a.length)] ?? null);
    const right = i < rank - b.length ? 1 : (b[i - (rank - b.length)] ?? null);
    if (left === 1) result.push(right);
    else if (right === 1) result.push(left);
    else if (!fits(left, right)) return undefined;
    else result.push(left ?? right);
  }
  return result;
}

/** Product of known sizes; null when one is unknown. */
export function product(shape: Shape): number | null {
  let count: number | null = 1;
  for (const size of shape) count = size === null || count === null ? null : count * size;
  return count;
}
