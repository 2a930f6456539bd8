import type { Model, Node, TensorData } from '../onnx/index.ts';
import { floatValues } from './float-values.ts';
import { operandsOf, ruleOf } from './operators.ts';

/** A node that stays in float, and why. */
export interface KeptNode {
  readonly node: string;
  readonly op: string;
  readonly reason: string;
}

/** Which nodes are quantised. */
export interface Choice {
  readonly quantised: ReadonlySet<Node>;
  /** Relu and Clip that are part of the node before them, by that node; no Q/DQ pair stands between the two. */
  readonly folded: ReadonlyMap<Node, Node>;
  readonly kept: readonly KeptNode[];
}

/** How options and results call a node: its name, or its first output when it has none. */
export const nodeName = (node: Node): string => (node.name === '' ? (node.outputs[0] ?? '') : node.name);

/** Who makes and who uses each value. */
export interface Wiring {
  readonly maker: ReadonlyMap<string, Node>;
  readonly users: ReadonlyMap<string, readonly Node[]>;
  readonly results: ReadonlySet<string>;
}

export function wiringOf(model: Model): Wiring {
  const maker = new Map<string, Node>();
  const users = new Map<string, Node[]>();
  for (const node of model.graph.nodes) {
    for (const output of node.outputs) maker.set(output, node);
    for (const input of new Set(node.inputs)) users.set(input, [...(users.get(input) ?? []), node]);
  }
  return { maker, users, results: new Set(model.graph.outputs.map(({ name }) => name)) };
}

/** Operators that can bound their own result. */
const BOUNDABLE: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Add', 'Sub', 'Mul']);

/** Grows the choice: first node by node, then with a look at the neighbours. */
class Choosing {
  private readonly reasons = new Map<Node, string>();
  private readonly folded = new Map<Node, Node>();
  private readonly model: Model;
  private readonly wiring: Wiring;
  private readonly floats: ReadonlySet<string>;
  private readonly constants: ReadonlyMap<string, TensorData>;
  private readonly skip: ReadonlySet<string>;

  constructor(model: Model, wiring: Wiring, skip: ReadonlySet<string>) {
    this.model = model;
    this.wiring = wiring;
    this.skip = skip;
    this.floats = floatValues(model);
    this.constants = model.graph.initializers;
  }

  choose(): Choice {
    const { nodes } = this.model.graph;
    for (const node of nodes) this.refuse(node, this.ownReason(node));
    for (const node of nodes) this.placeClamp(node);
    for (const node of nodes.toReversed()) this.refuse(node, this.tailReason(node));
    const kept = nodes.flatMap((node) => {
      const reason = this.reasons.get(node);
      const isFloat = node.outputs.some((output) => this.floats.has(output)) || node.domain !== '';
      return reason === undefined || !isFloat ? [] : [{ node: nodeName(node), op: node.op, reason }];
    });
    return { quantised: new Set(nodes.filter((node) => !this.reasons.has(node))), folded: this.folded, kept };
  }

  private refuse(node: Node, reason: string | undefined): void {
    if (reason !== undefined && !this.reasons.has(node)) this.reasons.set(node, reason);
  }

  private ownReason(node: Node): string | undefined {
    if (this.skip.has(nodeName(node))) return 'the option "skip" names it';
    const rule = ruleOf(node);
    if (!rule) return `${node.domain === '' ? node.op : `${node.domain}.${node.op}`} is computed in float`;
    const operands = operandsOf(node, rule);
    if (operands.some((name) => !this.floats.has(name))) return 'its input is not known to be float32';
    if (operands.every((name) => this.constants.has(name))) return 'it works on constants only';
    return rule.refusal(node, this.constants) ?? this.constantReason(operands);
  }

  private constantReason(operands: readonly string[]): string | undefined {
    const faulty = operands.find((name) => {
      const tensor = this.constants.get(name);
      return tensor?.type === 'float32' && !tensor.data.every((value) => Number.isFinite(value));
    });
    return faulty === undefined ? undefined : `its constant "${faulty}" is not all finite`;
  }

  /** A Relu or Clip joins the node before it, in int8 and in float alike. */
  private placeClamp(node: Node): void {
    if (ruleOf(node)?.kind !== 'clamp' || this.reasons.has(node)) return;
    const input = node.inputs[0] ?? '';
    const before = this.wiring.maker.get(input);
    if (!before) return;
    if (this.reasons.has(before)) {
      this.refuse(node, `its input comes from ${before.op} "${nodeName(before)}" in float`);
      return;
    }
    const alone = this.wiring.users.get(input)?.length === 1 && !this.wiring.results.has(input);
    if (alone && BOUNDABLE.has(before.op)) this.folded.set(before, node);
  }

  /**
   * Moving values whose users compute in float would give them one common, coarser scale for nothing: think of boxes and
   * scores that are put side by side at the end of a detector.
   */
  private tailReason(node: Node): string | undefined {
    if (ruleOf(node)?.cheap !== true) return undefined;
    const users = node.outputs.flatMap((output) => this.wiring.users.get(output) ?? []);
    return users.every((user) => this.reasons.has(user)) ? 'it moves values only, for float users' : undefined;
  }
}

/** Chooses the nodes to quantise in a prepared model. */
export function chooseNodes(model: Model, wiring: Wiring, skip: ReadonlySet<string>): Choice {
  return new Choosing(model, wiring, skip).choose();
}
