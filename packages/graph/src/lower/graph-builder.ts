import type { BinaryOperator, Bounds, ConstantData, IrOp, IrValue, QuantParams, UnaryOperator } from './ir.ts';
import { UNBOUNDED } from './ir.ts';
import { permutationTo, shapeOf, type TensorView, viewOf } from './tensor-view.ts';

/** Most dimensions that an operation may have. */
export const MAX_RANK = 6;
const MAX_CONCAT = 5;

/** Collects values and operations, and moves data where a view does not lie as it is wanted. */
export class GraphBuilder {
  readonly values: IrValue[] = [];
  readonly ops: IrOp[] = [];
  /** Results that can be had again instead of being computed twice, by what they are made of. */
  private readonly made = new Map<string, number>();

  add(value: IrValue): number {
    this.values.push(value);
    return this.values.length - 1;
  }

  value(id: number): IrValue {
    const value = this.values[id];
    if (!value) throw new Error(`There is no value ${id}.`);
    return value;
  }

  /** A value that an operation is about to write; int8 when it is given parameters. */
  temporary(name: string, dims: readonly number[], quant?: QuantParams): number {
    return this.add(quant ? { name, dims, type: 'qint8', quant } : { name, dims, type: 'float32' });
  }

  constant(name: string, dims: readonly number[], constant: ConstantData, quant?: QuantParams): number {
    return this.add({ name, dims, type: constant.type, constant, ...(quant ? { quant } : {}) });
  }

  floats(name: string, dims: readonly number[], values: Float32Array | readonly number[]): number {
    return this.constant(name, dims, { type: 'float32', values: Float32Array.from(values) });
  }

  private once(key: string, make: () => number): number {
    const found = this.made.get(key);
    if (found !== undefined) return found;
    const id = make();
    this.made.set(key, id);
    return id;
  }

  /** The same elements under other sizes. */
  withDims(id: number, dims: readonly number[]): number {
    const { dims: from, name, quant } = this.value(id);
    if (from.length === dims.length && from.every((size, i) => size === dims[i])) return id;
    return this.once(`reshape ${id} ${dims.join()}`, () => {
      const y = this.temporary(name, dims, quant);
      this.ops.push({ op: 'reshape', dims, x: id, y });
      return y;
    });
  }

  private permuted(id: number, dims: readonly number[], perm: readonly number[]): number {
    return this.once(`transpose ${id} ${dims.join()} ${perm.join()}`, () => {
      const x = this.withDims(id, dims);
      const { name, quant } = this.value(id);
      const y = this.temporary(
        name,
        perm.map((axis) => dims[axis] ?? 1),
        quant,
      );
      this.ops.push({ op: 'transpose', perm, x, y });
      return y;
    });
  }

  /** The view with its dimensions in the given order in memory; undefined when moving them takes more than MAX_RANK. */
  moved(view: TensorView, order: readonly number[]): TensorView | undefined {
    const move = permutationTo(view, order);
    if (!move) return view;
    if (move.dims.length > MAX_RANK) return undefined;
    return viewOf(this.permuted(view.value, move.dims, move.perm), shapeOf(view), order);
  }

  unary(operator: UnaryOperator, x: number, params: readonly number[] = [], quant?: QuantParams): number {
    const { name, dims } = this.value(x);
    const y = this.temporary(name, dims, quant);
    this.ops.push({ op: 'unary', operator, x, y, params });
    return y;
  }

  /** The value in float32. */
  inFloat(id: number): number {
    return this.value(id).type === 'qint8' ? this.once(`float ${id}`, () => this.unary('convert', id)) : id;
  }

  /** The value in int8 with these parameters. */
  inInt8(id: number, quant: QuantParams): number {
    const from = this.value(id).quant;
    if (from && from.scale === quant.scale && from.zeroPoint === quant.zeroPoint) return id;
    return this.once(`int8 ${id} ${quant.scale} ${quant.zeroPoint}`, () => this.unary('convert', id, [], quant));
  }

  binary(operator: BinaryOperator, a: number, b: number, options: { name?: string; bounds?: Bounds; quant?: QuantParams } = {}): number {
    const left = this.value(a).dims;
    const right = this.value(b).dims;
    const rank = Math.max(left.length, right.length);
    const dims = Array.from({ length: rank }, (_, i) => Math.max(left[i - rank + left.length] ?? 1, right[i - rank + right.length] ?? 1));
    const y = this.temporary(options.name ?? this.value(a).name, dims, options.quant);
    this.ops.push({ op: 'binary', operator, a, b, y, bounds: options.bounds ?? UNBOUNDED });
    return y;
  }

  /** Binary with one number, which is the same for every element. */
  withNumber(operator: BinaryOperator, x: number, operand: number, options: { bounds?: Bounds } = {}): number {
    const b = this.once(`number ${operand}`, () => this.floats(String(operand), [1], [operand]));
    return this.binary(operator, x, b, options);
  }

  reduce(operator: 'mean' | 'sum', x: number, axes: readonly number[], quant?: QuantParams): number {
    const { name, dims } = this.value(x);
    const y = this.temporary(
      name,
      dims.map((size, i) => (axes.includes(i) ? 1 : size)),
      quant,
    );
    this.ops.push({ op: 'reduce', operator, axes, x, y });
    return y;
  }

  /** Any number of parts: more than the engine takes at once are joined in steps. */
  concat(name: string, axis: number, xs: readonly number[]): number {
    const [first] = xs;
    if (first !== undefined && xs.length === 1) return first;
    if (xs.length > MAX_CONCAT) {
      const groups = Array.from({ length: Math.ceil(xs.length / MAX_CONCAT) }, (_, i) => xs.slice(i * MAX_CONCAT, (i + 1) * MAX_CONCAT));
      return this.concat(
        name,
        axis,
        groups.map((group) => this.concat(name, axis, group)),
      );
    }
    const { dims, quant } = this.value(first ?? 0);
    const size = xs.reduce((sum, x) => sum + (this.value(x).dims[axis] ?? 0), 0);
    const y = this.temporary(name, dims.with(axis, size), quant);
    this.ops.push({ op: 'concat', axis, xs, y });
    return y;
  }

  slice(x: number, offsets: readonly number[], sizes: readonly number[]): number {
    const { name, dims, quant } = this.value(x);
    if (dims.every((size, i) => size === sizes[i])) return x;
    const y = this.temporary(name, sizes, quant);
    this.ops.push({ op: 'slice', offsets, sizes, x, y });
    return y;
  }

  copy(x: number): number {
    const { name, dims, quant } = this.value(x);
    const y = this.temporary(name, dims, quant);
    this.ops.push({ op: 'copy', x, y });
    return y;
  }
}
