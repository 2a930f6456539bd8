import { intAttribute, type Node, type TensorData } from '../onnx/index.ts';
import { resolveAxis } from '../onnx/shapes/rule.ts';
import { clampOf, narrowed } from './clamp.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { type Bounds, type QuantParams, UNBOUNDED } from './ir.ts';
import { knownShape, type Network, type Wiring } from './network.ts';
import { type Int8Constant, int8ConstantOf, quantParamsOf, sameQuant } from './quantised.ts';
import { memoryOrder, shapeOf, type TensorView, viewOf } from './tensor-view.ts';

/** Ends the lowering of one node; the reason goes into the list of what is not supported. */
export class NotLowered extends Error {}

/** What all nodes of a lowering share. */
export interface Lowering {
  readonly network: Network;
  readonly wiring: Wiring;
  readonly builder: GraphBuilder;
  readonly views: Map<string, TensorView>;
  /** Nodes that an earlier one took into itself. */
  readonly absorbed: Set<Node>;
}

/** Where an operation's result goes once what follows has been taken into it. */
export interface Sink {
  readonly names: readonly string[];
  readonly bounds: Bounds;
  /** The result is to be int8 with these parameters. */
  readonly quant?: QuantParams;
  /** Nodes between this one and the names. */
  readonly absorbed: readonly Node[];
}

/** What a rule may ask and do for the node that it lowers. */
export class NodeContext {
  readonly node: Node;
  readonly opset: number;
  readonly builder: GraphBuilder;
  private readonly lowering: Lowering;

  constructor(node: Node, lowering: Lowering) {
    this.node = node;
    this.lowering = lowering;
    this.opset = lowering.network.opset;
    this.builder = lowering.builder;
  }

  unsupported(reason: string): never {
    throw new NotLowered(reason);
  }

  has(index: number): boolean {
    return (this.node.inputs[index] ?? '') !== '';
  }

  /** Value of the input where it is known before the model runs; of a dequantised constant, the real numbers. */
  constant(index: number): TensorData | undefined {
    return this.lowering.network.constants.get(this.node.inputs[index] ?? '');
  }

  /** A float32 constant; `what` names it when it is none. */
  floatConstant(index: number, what: string): { dims: readonly number[]; data: Float32Array } {
    const found = this.constant(index);
    if (found?.type !== 'float32') this.unsupported(`${what} that are computed while the model runs or are not float32`);
    return found;
  }

  /** The integers behind a dequantised int8 or uint8 constant. */
  int8Constant(index: number): Int8Constant | undefined {
    return int8ConstantOf(this.lowering.network, this.lowering.wiring, this.node.inputs[index]);
  }

  shape(index: number): readonly number[] {
    return knownShape(this.lowering.network, this.node.inputs[index]) ?? this.unsupported(`the shape of input ${index} is not known`);
  }

  outputShape(index = 0): readonly number[] {
    return knownShape(this.lowering.network, this.node.outputs[index]) ?? this.unsupported(`the shape of output ${index} is not known`);
  }

  /** The attribute `axis`, counted from the front. */
  axis(fallback: number, rank: number): number {
    return resolveAxis(intAttribute(this.node, 'axis', fallback), rank) ?? this.unsupported('axis is out of range');
  }

  /** How the input lies in memory, in float32 or int8. Constants are written into the graph as they are. */
  view(index: number): TensorView {
    const name = this.node.inputs[index] ?? '';
    const found = this.lowering.views.get(name);
    if (found) return found;
    const { dims, data } = this.floatConstant(index, 'values');
    const view = viewOf(this.builder.floats(name, dims, data), dims);
    this.lowering.views.set(name, view);
    return view;
  }

  /** Bounds of a node that clips its input. */
  clampBounds(): Bounds | undefined {
    return clampOf(this.lowering.network, this.node);
  }

  /** Parameters of a QuantizeLinear or DequantizeLinear node. */
  quantParams(): QuantParams | undefined {
    return quantParamsOf(this.lowering.network, this.node);
  }

  quantOf(view: TensorView): QuantParams | undefined {
    return this.builder.value(view.value).quant;
  }

  inFloat(view: TensorView): TensorView {
    return { ...view, value: this.builder.inFloat(view.value) };
  }

  moved(view: TensorView, order: readonly number[]): TensorView {
    return this.builder.moved(view, order) ?? this.unsupported('a rearrangement of more than 6 dimensions');
  }

  /** The order that costs least: as the data lies, else row by row. */
  settled(view: TensorView): { view: TensorView; order: readonly number[] } {
    const lying = memoryOrder(view);
    const order = lying ?? view.axes.map((_, i) => i);
    return { view: this.moved(view, order), order };
  }

  /** Index of the value, with its dimensions in this order and visible as such (or as `dims`). */
  arranged(view: TensorView, order: readonly number[], dims?: readonly number[]): number {
    const shape = shapeOf(view);
    const wanted = dims ?? order.map((axis) => shape[axis] ?? 1);
    if (wanted.length > 6) this.unsupported('more than 6 dimensions');
    return this.builder.withDims(this.moved(view, order).value, wanted);
  }

  /**
   * Where the result may go: behind clamps, and with `int8` behind the quantisation, that follow this node. What lies
   * between is taken in when the result is given to the sink.
   */
  sink(options: { clamp: boolean; int8: boolean }): Sink {
    const { network, wiring } = this.lowering;
    const absorbed: Node[] = [];
    let name = this.node.outputs[0] ?? '';
    let bounds = UNBOUNDED;
    for (let user = wiring.soleUser(name); user && options.clamp; user = wiring.soleUser(name)) {
      const clamp = clampOf(network, user);
      const both = clamp && narrowed(bounds, clamp);
      if (!both || both.min >= both.max) break;
      bounds = both;
      absorbed.push(user);
      name = user.outputs[0] ?? '';
    }
    const users = network.outputs.includes(name) ? [] : (wiring.users.get(name) ?? []);
    const quants = users.map((user) => (user.op === 'QuantizeLinear' ? quantParamsOf(network, user) : undefined));
    const [quant] = quants;
    if (!options.int8 || !quant || !quants.every((other) => other && sameQuant(other, quant))) return { names: [name], bounds, absorbed };
    return { names: users.map((user) => user.outputs[0] ?? ''), bounds, quant, absorbed: [...absorbed, ...users] };
  }

  /** Names the view as the result: of a sink with all that it takes in, or of one output. */
  give(sink: Sink | string | undefined, view: TensorView): void {
    if (typeof sink === 'object') for (const node of sink.absorbed) this.lowering.absorbed.add(node);
    const names = typeof sink === 'object' ? sink.names : [sink ?? ''];
    for (const name of names) if (name !== '') this.lowering.views.set(name, view);
  }
}

/** Lowers one node. */
export type LowerRule = (context: NodeContext) => void;
export type LowerRules = Readonly<Record<string, LowerRule>>;
