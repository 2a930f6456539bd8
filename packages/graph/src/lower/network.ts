import { type Model, type Node, nodeLabel, opsetOf, type TensorData, type TensorType } from '../onnx/index.ts';

/** Why a node cannot be lowered. */
export interface Unsupported {
  /** Name of the node, of its first output where it has none, or of the input. */
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

/** The model while it is being simplified: passes replace `nodes` and add to the maps. */
export interface Network {
  readonly opset: number;
  nodes: Node[];
  /** Every value known before the model runs. */
  readonly constants: Map<string, TensorData>;
  /** Types as far as they could be inferred. */
  readonly types: Map<string, TensorType>;
  readonly outputs: readonly string[];
  readonly unsupported: Unsupported[];
}

export function networkOf(model: Model): Network {
  return {
    opset: opsetOf(model),
    nodes: [...model.graph.nodes],
    constants: new Map(model.graph.initializers),
    types: new Map(),
    outputs: model.graph.outputs.map((output) => output.name),
    unsupported: [],
  };
}

export function unsupported(node: Node, reason: string): Unsupported {
  return { node: node.name === '' ? (node.outputs[0] ?? nodeLabel(node)) : node.name, op: node.op, reason };
}

/** Who uses which value, and who makes it. */
export interface Wiring {
  readonly users: ReadonlyMap<string, readonly Node[]>;
  readonly makers: ReadonlyMap<string, Node>;
  /** The one node that uses the value, when nothing else does and the model does not give it away. */
  soleUser(name: string | undefined): Node | undefined;
}

export function wiringOf(network: Network): Wiring {
  const users = new Map<string, Node[]>();
  const makers = new Map<string, Node>();
  for (const node of network.nodes) {
    for (const input of node.inputs) {
      const list = users.get(input);
      if (list) list.push(node);
      else users.set(input, [node]);
    }
    for (const output of node.outputs) makers.set(output, node);
  }
  const given = new Set(network.outputs);
  return {
    users,
    makers,
    soleUser: (name) => {
      const list = name === undefined || given.has(name) ? [] : (users.get(name) ?? []);
      return list.length === 1 ? list[0] : undefined;
    },
  };
}

/** Sizes of a value; undefined where one is not known. */
export function knownShape(network: Network, name: string | undefined): readonly number[] | undefined {
  const shape = network.types.get(name ?? '')?.shape;
  const sizes = shape?.filter((size) => size !== null);
  return sizes && sizes.length === shape?.length ? sizes : undefined;
}

/** The one number of a constant with one element. */
export function scalarOf(network: Network, name: string | undefined): number | undefined {
  const value = network.constants.get(name ?? '');
  return value && value.data.length === 1 ? Number(value.data[0]) : undefined;
}
