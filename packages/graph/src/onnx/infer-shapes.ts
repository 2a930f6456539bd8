import { AppError } from '@selvedge/contract';
import { type Model, type Node, nodeLabel, opsetOf, type TensorData } from './model.ts';
import { modelInvalid } from './read-tensor.ts';
import { CONVOLUTION_SHAPES } from './shapes/convolution.ts';
import { ELEMENTWISE_SHAPES } from './shapes/elementwise.ts';
import { LAYOUT_SHAPES } from './shapes/layout.ts';
import { LINEAR_SHAPES } from './shapes/linear.ts';
import { QUANTISED_SHAPES } from './shapes/quantised.ts';
import type { ShapeContext, ShapeRules, TensorType } from './shapes/rule.ts';
import { STRUCTURE_SHAPES } from './shapes/structure.ts';
import { constantValue } from './tensor.ts';

const RULES: ShapeRules = {
  ...CONVOLUTION_SHAPES,
  ...LINEAR_SHAPES,
  ...ELEMENTWISE_SHAPES,
  ...LAYOUT_SHAPES,
  ...STRUCTURE_SHAPES,
  ...QUANTISED_SHAPES,
};

/** Operators (of the standard domain) whose shapes are inferred, sorted by name. */
export const SHAPED_OPS: readonly string[] = Object.keys(RULES).sort();

/** The error for an operator, or a use of it, that is not supported: names the node and what is. */
export function opUnsupported(node: Node, why: string, supported: readonly string[]): AppError {
  return new AppError('OP_UNSUPPORTED', {
    message: `${nodeLabel(node)} is not supported: ${why}.`,
    hint: `Supported operators: ${supported.join(', ')}.`,
    data: { node: node.name, op: node.op, supported: [...supported] },
  });
}

const showShape = (type: TensorType | undefined): string => (type ? `[${type.shape.map((size) => size ?? '?').join(', ')}]` : '(none)');

class NodeContext implements ShapeContext {
  readonly node: Node;
  readonly opset: number;
  private readonly types: ReadonlyMap<string, TensorType>;
  private readonly constants: ReadonlyMap<string, TensorData>;

  constructor(node: Node, opset: number, types: ReadonlyMap<string, TensorType>, constants: ReadonlyMap<string, TensorData>) {
    this.node = node;
    this.opset = opset;
    this.types = types;
    this.constants = constants;
  }

  input(index: number): TensorType {
    const found = this.optional(index);
    if (!found) throw modelInvalid(`${nodeLabel(this.node)} lacks its input ${index}.`);
    return found;
  }

  optional(index: number): TensorType | undefined {
    const name = this.node.inputs[index];
    if (name === undefined || name === '') return undefined;
    const found = this.types.get(name);
    if (!found) throw modelInvalid(`${nodeLabel(this.node)} uses "${name}", which nothing before it makes.`);
    return found;
  }

  constant(index: number): TensorData | undefined {
    return this.constants.get(this.node.inputs[index] ?? '');
  }

  mismatch(why: string): never {
    const shapes = this.node.inputs.map((name) => `${name} ${showShape(this.types.get(name))}`);
    throw new AppError('SHAPE_MISMATCH', {
      message: `${nodeLabel(this.node)}: ${why}; inputs: ${shapes.join(', ')}.`,
      data: { node: this.node.name, op: this.node.op },
    });
  }

  unsupported(why: string): never {
    throw opUnsupported(this.node, why, SHAPED_OPS);
  }
}

/** Values that are known without running the model: initializers and Constant nodes. */
export function constantsOf(model: Model): Map<string, TensorData> {
  const constants = new Map(model.graph.initializers);
  for (const node of model.graph.nodes) {
    const value = node.op === 'Constant' ? constantValue(node) : undefined;
    const output = node.outputs[0];
    if (value && output) constants.set(output, value);
  }
  return constants;
}

/**
 * Types of the outputs of one node, from those of its inputs and from the values that are known.
 *
 * @throws AppError as `inferShapes` does.
 */
export function inferNode(
  node: Node,
  opset: number,
  types: ReadonlyMap<string, TensorType>,
  constants: ReadonlyMap<string, TensorData>,
): readonly TensorType[] {
  const standard = node.domain === '' || node.domain === 'ai.onnx';
  const rule = standard && Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
  if (!rule) throw opUnsupported(node, 'its shapes cannot be inferred', SHAPED_OPS);
  return rule(new NodeContext(node, opset, types, constants));
}

/**
 * Works out element type and shape of every value in the model.
 *
 * @param options.batch - size to give the first dimension of every input that leaves it open; default: it stays open.
 * @returns types by value name; an open dimension is null.
 * @throws AppError OP_UNSUPPORTED naming the node, its operator and the supported ones; SHAPE_MISMATCH naming the node
 *   and the shapes of its inputs; MODEL_INVALID when an input has no rank or a value no maker.
 */
export function inferShapes(model: Model, options: { batch?: number } = {}): ReadonlyMap<string, TensorType> {
  const types = new Map<string, TensorType>();
  for (const [name, tensor] of model.graph.initializers) types.set(name, { type: tensor.type, shape: tensor.dims });
  for (const { name, type, shape } of model.graph.inputs) {
    if (!shape) throw modelInvalid(`The input "${name}" does not say how many dimensions it has.`);
    const sizes = shape.map((dim, i) => (typeof dim === 'number' ? dim : i === 0 ? (options.batch ?? null) : null));
    types.set(name, { type, shape: sizes });
  }
  const constants = constantsOf(model);
  const opset = opsetOf(model);
  for (const node of model.graph.nodes) {
    const results = inferNode(node, opset, types, constants);
    for (const [i, output] of node.outputs.entries()) {
      const result = results[i];
      if (output === '') continue;
      if (!result) throw modelInvalid(`${nodeLabel(node)} has no output ${i}.`);
      types.set(output, result);
    }
  }
  return types;
}
