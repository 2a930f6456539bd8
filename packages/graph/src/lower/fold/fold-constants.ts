import { AppError } from '@selvedge/contract';
import { inferNode, int64Tensor, intAttribute, type Node, type TensorData, type TensorType } from '../../onnx/index.ts';
import { constantValue } from '../../onnx/tensor.ts';
import { type Network, unsupported } from '../network.ts';
import { evaluate } from './evaluate.ts';

/** Nodes that hand their first input on unchanged when a model is used (not trained). */
function passesThrough(network: Network, node: Node): boolean {
  if (node.op === 'Identity' || node.op === 'Dropout') return true;
  const from = network.types.get(node.inputs[0] ?? '')?.type;
  return node.op === 'Cast' && from !== undefined && from === network.types.get(node.outputs[0] ?? '')?.type;
}

function shapeValue(network: Network, node: Node): TensorData | undefined {
  const shape = network.types.get(node.inputs[0] ?? '')?.shape;
  if (!shape || shape.includes(null)) return undefined;
  const end = intAttribute(node, 'end', shape.length);
  return int64Tensor(shape.slice(intAttribute(node, 'start', 0), end).map((size) => size ?? 0));
}

/** Types of the outputs; a fault of the node is noted and leaves them unknown. */
function typesOf(network: Network, node: Node): readonly TensorType[] | undefined {
  if (node.inputs.some((name) => name !== '' && !network.types.has(name))) return undefined;
  try {
    return inferNode(node, network.opset, network.types, network.constants);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'OP_UNSUPPORTED') throw error;
    network.unsupported.push(unsupported(node, error.message.slice(error.message.indexOf(': ') + 2)));
    return undefined;
  }
}

function valuesOf(network: Network, node: Node, results: readonly TensorType[]): readonly (TensorData | undefined)[] | undefined {
  if (node.op === 'Shape') return [shapeValue(network, node)];
  if (node.op === 'Constant') return [constantValue(node)];
  const known = node.inputs.every((name) => name === '' || network.constants.has(name));
  if (!known) return undefined;
  return evaluate({ node, opset: network.opset, inputs: node.inputs.map((name) => network.constants.get(name)), results });
}

/**
 * Infers all types, works out what is known before the model runs, and drops nodes that change nothing.
 * DequantizeLinear nodes of constants stay, so that their integers can be used as they are.
 */
export function foldConstants(network: Network, inputs: ReadonlyMap<string, TensorType>): void {
  for (const [name, tensor] of network.constants) network.types.set(name, { type: tensor.type, shape: tensor.dims });
  for (const [name, type] of inputs) network.types.set(name, type);
  const renamed = new Map<string, string>();
  const kept: Node[] = [];
  for (const original of network.nodes) {
    const node = { ...original, inputs: original.inputs.map((name) => renamed.get(name) ?? name) };
    const results = typesOf(network, node);
    for (const [i, output] of node.outputs.entries()) {
      const type = results?.[i];
      if (type && output !== '') network.types.set(output, type);
    }
    const values = results && valuesOf(network, node, results);
    for (const [i, value] of values?.entries() ?? []) {
      if (value) network.constants.set(node.outputs[i] ?? '', value);
    }
    const outputs = node.outputs.filter((name) => name !== '');
    if (node.op !== 'DequantizeLinear' && outputs.every((name) => network.constants.has(name) && !network.outputs.includes(name))) continue;
    const [from, to] = [node.inputs[0], node.outputs[0]];
    if (from !== undefined && to !== undefined && passesThrough(network, node) && !network.outputs.includes(to)) renamed.set(to, from);
    else kept.push(node);
  }
  network.nodes = kept;
}
