import { intAttribute, type Model, type Node } from '../onnx/index.ts';

const NOT_FLOAT: ReadonlySet<string> = new Set(
  `Shape Size ArgMax ArgMin NonZero NonMaxSuppression Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Xor IsNaN IsInf`.split(' '),
);
/** Operators that have the element type of another input than the first. */
const TYPE_GIVING_INPUT: Readonly<Record<string, number>> = { Where: 1, OneHot: 2 };
/** Code of float32 in TensorProto.DataType. */
const FLOAT32 = 1;

function givesFloat(node: Node, known: ReadonlySet<string>): boolean {
  if (node.domain !== '' || NOT_FLOAT.has(node.op)) return false;
  if (node.op === 'Cast') return intAttribute(node, 'to', 0) === FLOAT32;
  if (node.op === 'ConstantOfShape') {
    const { value } = node.attributes;
    return value?.kind !== 'tensor' || value.value.type === 'float32';
  }
  return known.has(node.inputs[TYPE_GIVING_INPUT[node.op] ?? 0] ?? '');
}

/** Names of the values that are float32 for sure. Further outputs of a node count only for Split; masks and indices do not. */
export function floatValues(model: Model): ReadonlySet<string> {
  const known = new Set(model.graph.inputs.filter(({ type }) => type === 'float32').map(({ name }) => name));
  for (const [name, tensor] of model.graph.initializers) if (tensor.type === 'float32') known.add(name);
  for (const node of model.graph.nodes) {
    if (!givesFloat(node, known)) continue;
    for (const output of node.op === 'Split' ? node.outputs : node.outputs.slice(0, 1)) if (output !== '') known.add(output);
  }
  return known;
}
