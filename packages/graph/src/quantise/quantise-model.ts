import { AppError } from '@selvedge/contract';
import { type Attributes, attribute, float32Tensor, type Model, makeNode, type Node, type TensorData } from '../onnx/index.ts';
import { type ActivationType, type Affine, activationTensor, quantiseTensor } from './affine.ts';
import type { Ranges } from './calibrate.ts';
import { type Choice, chooseNodes, type KeptNode, nodeName, type Wiring, wiringOf } from './choose-nodes.ts';
import { chooseScales, resultsOf, type Scales } from './choose-scales.ts';
import { ruleOf } from './operators.ts';
import { prepareModel } from './prepare-model.ts';
import { type ChannelConstants, quantiseWeights } from './quantise-weights.ts';

export interface QuantiseOptions {
  /** Names of nodes to leave in float (the first output stands for a node without a name); default none. */
  readonly skip?: readonly string[];
  /**
   * Element type of activations: `int8` is what XNNPACK and ARM take, `uint8` is the fast one for ONNX Runtime on x86.
   * Default int8. Weights are int8 either way.
   */
  readonly activationType?: ActivationType;
}

export interface QuantisedModel {
  /** In QDQ form, opset 13 or later; inputs and outputs are those of the float model. */
  readonly model: Model;
  /** Names of the nodes that compute in int8, in the model's order. */
  readonly quantised: readonly string[];
  /** Nodes with float results that stay as they are, in the model's order. */
  readonly kept: readonly KeptNode[];
}

/** Writes the nodes of the quantised model one after the other. */
class Emitter {
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, TensorData>;
  private readonly taken: Set<string>;
  private readonly takenNodes: Set<string>;
  /** Name of the dequantised form of a value, by value and scale. */
  private readonly dequantised = new Map<string, string>();
  private readonly model: Model;
  private readonly wiring: Wiring;
  private readonly choice: Choice;
  private readonly scales: Scales;
  private readonly inner: ReadonlySet<Node>;

  constructor(model: Model, wiring: Wiring, choice: Choice, scales: Scales) {
    this.model = model;
    this.wiring = wiring;
    this.choice = choice;
    this.scales = scales;
    this.inner = new Set(choice.folded.values());
    this.initializers = new Map(model.graph.initializers);
    this.takenNodes = new Set(model.graph.nodes.map(({ name }) => name));
    this.taken = new Set([...this.initializers.keys(), ...model.graph.inputs.map(({ name }) => name), ...wiring.maker.keys()]);
  }

  emit(): Model {
    for (const node of this.model.graph.nodes) {
      if (this.inner.has(node)) continue;
      if (this.choice.quantised.has(node)) this.quantised(node);
      else this.nodes.push({ ...node, inputs: node.inputs.map((name) => this.floatOf(name)) });
    }
    const used = new Set([...this.nodes.flatMap((node) => node.inputs), ...this.model.graph.outputs.map(({ name }) => name)]);
    const initializers = new Map([...this.initializers].filter(([name]) => used.has(name)));
    return { ...this.model, graph: { ...this.model.graph, nodes: this.nodes, initializers } };
  }

  private quantised(node: Node): void {
    const rule = ruleOf(node);
    if (!rule) return;
    const operands = new Set(rule.operands(node));
    let inputs = node.inputs.map((name, i) => (operands.has(i) && name !== '' ? this.operand(name, node) : this.floatOf(name)));
    if (rule.kind === 'weighted') inputs = this.weighted(node, inputs[0] ?? '');
    const clamp = this.choice.folded.get(node);
    const results = resultsOf(node, this.choice);
    const raw = results.map((name) => (this.wiring.results.has(name) ? this.fresh(`${name}.raw`) : name));
    this.nodes.push({ ...node, inputs, outputs: clamp ? node.outputs : raw });
    if (clamp) this.nodes.push({ ...clamp, outputs: raw });
    for (const [i, name] of results.entries()) {
      if (name === '') continue;
      const output = this.wiring.results.has(name) ? name : this.fresh(`${name}.dq`);
      this.pair(raw[i] ?? name, name, this.scales.of(name), output);
    }
  }

  /** What a float node takes: the dequantised value where the value comes out of the int8 part, else the value itself. */
  private floatOf(name: string): string {
    const maker = this.wiring.maker.get(name);
    return maker && this.choice.quantised.has(maker) ? (this.dequantised.get(this.keyOf(name, this.scales.of(name))) ?? name) : name;
  }

  /** What an int8 node takes: the value dequantised from the scale that the node wants. */
  private operand(name: string, user: Node): string {
    const affine = this.scales.forUser(name, user);
    const known = this.dequantised.get(this.keyOf(name, affine));
    if (known !== undefined) return known;
    const constant = this.initializers.get(name);
    if (constant?.type === 'float32') return this.constantOperand(name, constant.dims, constant.data, affine);
    const source = this.dequantised.get(this.keyOf(name, this.scales.of(name))) ?? name;
    return this.pair(source, name, affine, this.fresh(`${name}.dq`));
  }

  private constantOperand(name: string, dims: readonly number[], data: Float32Array, affine: Affine): string {
    const [values, output] = [this.fresh(`${name}.q`), this.fresh(`${name}.dq`)];
    this.initializers.set(values, quantiseTensor(dims, data, affine));
    this.push('DequantizeLinear', [values, ...this.parameters(name, affine)], output);
    this.dequantised.set(this.keyOf(name, affine), output);
    return output;
  }

  /** QuantizeLinear and DequantizeLinear behind `source`. @returns `output`, as what `name` is called in that scale. */
  private pair(source: string, name: string, affine: Affine, output: string): string {
    const quantised = this.fresh(`${name}.q`);
    const parameters = this.parameters(name, affine);
    this.push('QuantizeLinear', [source, ...parameters], quantised);
    this.push('DequantizeLinear', [quantised, ...parameters], output);
    this.dequantised.set(this.keyOf(name, affine), output);
    return output;
  }

  private parameters(name: string, { scale, zeroPoint, type }: Affine): [string, string] {
    const names: [string, string] = [this.fresh(`${name}.scale`), this.fresh(`${name}.zero`)];
    this.initializers.set(names[0], float32Tensor([], Float32Array.of(scale)));
    this.initializers.set(names[1], activationTensor(type, [], [zeroPoint]));
    return names;
  }

  private weighted(node: Node, x: string): string[] {
    const [w = '', b = ''] = [node.inputs[1], node.inputs[2]];
    const [weights, bias] = [this.initializers.get(w), this.initializers.get(b)];
    if (weights?.type !== 'float32') return [...node.inputs];
    const result = resultsOf(node, this.choice)[0] ?? '';
    const scales = { input: this.scales.forUser(node.inputs[0] ?? '', node).scale, output: this.scales.of(result).scale };
    const quantised = quantiseWeights(node, weights, bias?.type === 'float32' ? bias : undefined, scales);
    return [x, this.channelConstants(w, quantised.weights), ...(quantised.bias ? [this.channelConstants(b, quantised.bias)] : [])];
  }

  private channelConstants(name: string, { values, scales, zeroPoints, axis }: ChannelConstants): string {
    const names = [this.fresh(`${name}.q`), this.fresh(`${name}.scale`), this.fresh(`${name}.zero`)];
    for (const [i, tensor] of [values, scales, zeroPoints].entries()) this.initializers.set(names[i] ?? '', tensor);
    const output = this.fresh(`${name}.dq`);
    this.push('DequantizeLinear', names, output, { axis: attribute.int(axis) });
    return output;
  }

  private keyOf(name: string, { scale, zeroPoint }: Affine): string {
    return `${scale} ${zeroPoint} ${name}`;
  }

  /** Adds a node that is called after its output. */
  private push(op: string, inputs: readonly string[], output: string, attributes: Attributes = {}): void {
    this.nodes.push(makeNode(op, inputs, [output], attributes, unusedName(output, this.takenNodes)));
  }

  private fresh(wanted: string): string {
    return unusedName(wanted, this.taken);
  }
}

/** The name, with a number behind it where it is taken; takes it. */
function unusedName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}${count}`;
  taken.add(name);
  return name;
}

function checkSkip(model: Model, skip: readonly string[]): void {
  const names = new Set(model.graph.nodes.map(nodeName));
  const unknown = skip.filter((name) => !names.has(name));
  if (unknown.length > 0) {
    throw new AppError('INPUT_INVALID', {
      message: `The model has no node "${unknown.join('", "')}" to leave in float.`,
      hint: `It has, among others: ${[...names].slice(0, 20).join(', ')}.`,
      data: { unknown },
    });
  }
}

/**
 * Quantises a float32 model to int8 after training, in QDQ form: weights per output channel, activations per tensor with
 * a zero point, biases int32, and a QuantizeLinear/DequantizeLinear pair behind each value of the int8 part.
 *
 * Operators without an int8 form stay in float, as do weights that are no constants. The same model, ranges and options
 * give the same bytes.
 *
 * @param ranges - of `calibrate` for this model.
 * @throws AppError INPUT_INVALID when the model is quantised already, `skip` names no node, or the ranges are those of
 *   another model; OP_UNSUPPORTED when the opset cannot be raised to 13.
 */
export function quantiseModel(model: Model, ranges: Ranges, options: QuantiseOptions = {}): QuantisedModel {
  const skip = options.skip ?? [];
  checkSkip(model, skip);
  const prepared = prepareModel(model);
  const wiring = wiringOf(prepared);
  const choice = chooseNodes(prepared, wiring, new Set(skip));
  const scales = chooseScales(prepared, choice, ranges, options.activationType ?? 'int8');
  return {
    model: new Emitter(prepared, wiring, choice, scales).emit(),
    quantised: prepared.graph.nodes.filter((node) => choice.quantised.has(node)).map(nodeName),
    kept: choice.kept,
  };
}
