import { type Attributes, attribute, makeNode, type Node, type TensorData } from './model.ts';
import { float32Tensor, int64Tensor } from './tensor.ts';

/** Grows a graph node by node and names the values in between. */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, TensorData>();
  private readonly taken: ReadonlySet<string>;
  private readonly cache = new Map<string, string>();
  private count = 0;

  /** @param taken - names that values made here must not have. */
  constructor(taken: ReadonlySet<string>) {
    this.taken = taken;
  }

  /** Adds a standard operator with one output and returns its name. */
  op(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const output = this.freshName(op);
    this.nodes.push(makeNode(op, inputs, [output], attributes));
    return output;
  }

  /** Adds a standard operator with outputs named by the caller. */
  opInto(op: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}): void {
    this.nodes.push(makeNode(op, inputs, outputs, attributes));
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.once(`scalar ${value}`, () => float32Tensor([], Float32Array.of(value)));
  }

  /** A list of int64, as shapes, axes and split sizes are given. */
  ints(values: readonly number[]): string {
    return this.once(`ints ${values.join()}`, () => int64Tensor(values));
  }

  constant(tensor: TensorData): string {
    const name = this.freshName('constant');
    this.initializers.set(name, tensor);
    return name;
  }

  reshape(value: string, shape: readonly number[]): string {
    return this.op('Reshape', [value, this.ints(shape)]);
  }

  transpose(value: string, perm: readonly number[]): string {
    return this.op('Transpose', [value], { perm: attribute.ints(perm) });
  }

  /** Sums over axes, which stay with size 1 only when `keep`. No axes: the value itself. */
  sum(value: string, axes: readonly number[], keep = false): string {
    if (axes.length === 0) return value;
    return this.op('ReduceSum', [value, this.ints(axes)], { keepdims: attribute.int(keep ? 1 : 0) });
  }

  mean(value: string, axes: readonly number[], keep = false): string {
    return this.op('ReduceMean', [value], { axes: attribute.ints(axes), keepdims: attribute.int(keep ? 1 : 0) });
  }

  /** 1 where a comparison holds, else 0. */
  mask(comparison: 'Greater' | 'Less', value: string, bound: string): string {
    return this.op('Cast', [this.op(comparison, [value, bound])], { to: attribute.int(1) });
  }

  freshName(hint: string): string {
    let name: string;
    do {
      this.count += 1;
      name = `t${this.count}.${hint}`;
    } while (this.taken.has(name));
    return name;
  }

  private once(key: string, make: () => TensorData): string {
    const known = this.cache.get(key);
    if (known !== undefined) return known;
    const name = this.constant(make());
    this.cache.set(key, name);
    return name;
  }
}

/** Sums a gradient over the axes along which its operand was broadcast, so that it has the operand's shape. */
export function unbroadcast(graph: GraphBuilder, gradient: string, from: readonly number[], to: readonly number[]): string {
  const lead = from.length - to.length;
  const axes = from.map((_, axis) => axis).filter((axis) => axis < lead || (to[axis - lead] === 1 && from[axis] !== 1));
  if (axes.length === 0) return gradient;
  const summed = graph.sum(gradient, axes, true);
  return lead > 0 ? graph.reshape(summed, to) : summed;
}
