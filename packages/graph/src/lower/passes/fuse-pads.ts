import { attribute, intsAttribute, type Node, stringAttribute } from '../../onnx/index.ts';
import { padEdges } from '../../onnx/shapes/operands.ts';
import { knownShape, type Network, scalarOf, wiringOf } from '../network.ts';

/** Pads of a node that puts zeros around the picture and does nothing else: all begins, then all ends. */
function zerosAround(network: Network, node: Node): number[] | undefined {
  const rank = knownShape(network, node.inputs[0])?.length ?? 0;
  if (node.op !== 'Pad' || stringAttribute(node, 'mode', 'constant') !== 'constant' || rank < 3) return undefined;
  const value = network.opset < 11 ? 0 : (node.inputs[2] ?? '') === '' ? 0 : scalarOf(network, node.inputs[2]);
  const early = network.opset < 11 && node.attributes.value?.kind === 'float' && node.attributes.value.value !== 0;
  const edges = padEdges({ node, opset: network.opset, constant: (index) => network.constants.get(node.inputs[index] ?? '') }, rank);
  if (value !== 0 || early || typeof edges === 'string') return undefined;
  const all = [...edges.before, ...edges.after];
  const outside = [...edges.before.slice(0, 2), ...edges.after.slice(0, 2)];
  if (all.some((pad) => pad < 0) || outside.some((pad) => pad !== 0)) return undefined;
  return [...edges.before.slice(2), ...edges.after.slice(2)];
}

/** Gives zeros that a Pad node puts around a picture to the convolution behind it. */
export function fusePads(network: Network): void {
  const { makers, soleUser } = wiringOf(network);
  const gone = new Set<Node>();
  network.nodes = network.nodes.map((node) => {
    const pad = node.op === 'Conv' ? makers.get(node.inputs[0] ?? '') : undefined;
    if (!pad || soleUser(pad.outputs[0]) !== node || !['NOTSET', 'VALID'].includes(stringAttribute(node, 'auto_pad', 'NOTSET')))
      return node;
    const zeros = zerosAround(network, pad);
    if (!zeros) return node;
    gone.add(pad);
    const own = stringAttribute(node, 'auto_pad', 'NOTSET') === 'VALID' ? undefined : intsAttribute(node, 'pads');
    const { auto_pad: _, ...rest } = node.attributes;
    return {
      ...node,
      inputs: [pad.inputs[0] ?? '', ...node.inputs.slice(1)],
      attributes: { ...rest, pads: attribute.ints(zeros.map((count, i) => count + (own?.[i] ?? 0))) },
    };
  });
  network.nodes = network.nodes.filter((node) => !gone.has(node));
}
