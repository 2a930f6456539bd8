import {
  type Attributes,
  float32Tensor,
  floatAttribute,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  type TensorData,
} from '../onnx/index.ts';

type Initializers = Map<string, TensorData>;

/** Renames inputs; used when a node in between goes away. */
function rewire(nodes: readonly Node[], from: string, to: string): Node[] {
  return nodes.map((node) =>
    node.inputs.includes(from) ? { ...node, inputs: node.inputs.map((name) => (name === from ? to : name)) } : node,
  );
}

/** Dropout does nothing in use. */
export function removeDropout(model: Model): Model {
  const results = new Set(model.graph.outputs.map((output) => output.name));
  let nodes: readonly Node[] = model.graph.nodes;
  for (const node of model.graph.nodes) {
    if (node.op !== 'Dropout' || node.domain !== '') continue;
    const output = node.outputs[0] ?? '';
    // The inputs of this node may have been renamed by the removal of one before it.
    const input = nodes.find((other) => other.outputs.includes(output))?.inputs[0] ?? '';
    if (results.has(output))
      nodes = nodes.map((other) => (other.outputs.includes(output) ? makeNode('Identity', [input], [output]) : other));
    else
      nodes = rewire(
        nodes.filter((other) => !other.outputs.includes(output)),
        output,
        input,
      );
  }
  return { ...model, graph: { ...model.graph, nodes: [...nodes] } };
}

/** What folding needs of the layer before the normalization. */
interface Foldable {
  readonly producer: Node;
  readonly weights: Extract<TensorData, { type: 'float32' }>;
  readonly bias: Float32Array;
  /** Index of the channel of weight number i. */
  readonly channelOf: (i: number) => number;
}

function float32(tensors: ReadonlyMap<string, TensorData>, name: string | undefined): Extract<TensorData, { type: 'float32' }> | undefined {
  const tensor = tensors.get(name ?? '');
  return tensor?.type === 'float32' ? tensor : undefined;
}

function channelOf(producer: Node, weights: TensorData, channels: number): Foldable['channelOf'] {
  if (producer.op === 'ConvTranspose') {
    // [inputs, outputs per group, ...kernel]: the group goes by the input.
    const [inputs = 1, perGroup = 1] = weights.dims;
    const window = weights.data.length / (inputs * perGroup);
    const inputsPerGroup = (inputs * perGroup) / channels;
    return (i) => Math.floor(Math.floor(i / (window * perGroup)) / inputsPerGroup) * perGroup + (Math.floor(i / window) % perGroup);
  }
  const channelFirst = producer.op === 'Conv' || intAttribute(producer, 'transB', 0) !== 0;
  const perChannel = weights.data.length / channels;
  return channelFirst ? (i) => Math.floor(i / perChannel) : (i) => i % channels;
}

function foldable(producer: Node | undefined, tensors: ReadonlyMap<string, TensorData>, channels: number): Foldable | undefined {
  const weights = float32(tensors, producer?.inputs[1]);
  if (!producer || !weights || producer.domain !== '' || !['Conv', 'ConvTranspose', 'Gemm'].includes(producer.op)) return undefined;
  if (producer.op === 'Gemm' && (floatAttribute(producer, 'alpha', 1) !== 1 || floatAttribute(producer, 'beta', 1) !== 1)) return undefined;
  const given = producer.inputs[2] ? float32(tensors, producer.inputs[2]) : undefined;
  if (producer.inputs[2] && given?.data.length !== channels) return undefined;
  return { producer, weights, bias: given?.data ?? new Float32Array(channels), channelOf: channelOf(producer, weights, channels) };
}

/** y = (Wx + b - mean) * scale / sqrt(var + epsilon) + shift is a layer with other weights. */
function foldOne(normalization: Node, layer: Foldable, tensors: Initializers): Node | undefined {
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((index) => float32(tensors, normalization.inputs[index])?.data);
  if (!scale || !shift || !mean || !variance) return undefined;
  const epsilon = floatAttribute(normalization, 'epsilon', 1e-5);
  const factors = scale.map((value, c) => value / Math.sqrt((variance[c] ?? 0) + epsilon));
  const weights = layer.weights.data.map((value, i) => value * (factors[layer.channelOf(i)] ?? 0));
  const bias = layer.bias.map((value, c) => (value - (mean[c] ?? 0)) * (factors[c] ?? 0) + (shift[c] ?? 0));
  const output = normalization.outputs[0] ?? '';
  const names = [`${output}.W`, `${output}.B`];
  tensors.set(names[0] ?? '', float32Tensor(layer.weights.dims, weights));
  tensors.set(names[1] ?? '', float32Tensor([bias.length], bias));
  const attributes: Attributes = layer.producer.attributes;
  return { ...layer.producer, inputs: [layer.producer.inputs[0] ?? '', ...names], outputs: [output], attributes };
}

/** Takes every BatchNormalization that directly follows a Conv, ConvTranspose or Gemm into its weights; the others stay. */
export function foldBatchNormalization(model: Model): Model {
  const tensors: Initializers = new Map(model.graph.initializers);
  const uses = new Map<string, number>();
  for (const name of [...model.graph.nodes.flatMap((node) => node.inputs), ...model.graph.outputs.map((output) => output.name)])
    uses.set(name, (uses.get(name) ?? 0) + 1);
  let nodes: readonly Node[] = model.graph.nodes;
  for (const node of model.graph.nodes) {
    const input = node.inputs[0] ?? '';
    if (node.op !== 'BatchNormalization' || node.domain !== '' || intAttribute(node, 'training_mode', 0) !== 0 || uses.get(input) !== 1)
      continue;
    const producer = nodes.find((other) => other.outputs[0] === input);
    const layer = foldable(producer, tensors, float32(tensors, node.inputs[1])?.data.length ?? 0);
    const folded = layer && foldOne(node, layer, tensors);
    if (folded) nodes = nodes.filter((other) => other !== node).map((other) => (other === layer?.producer ? folded : other));
  }
  return dropUnused({ ...model, graph: { ...model.graph, nodes, initializers: tensors } });
}

function dropUnused(model: Model): Model {
  const used = new Set([...model.graph.nodes.flatMap((node) => node.inputs), ...model.graph.outputs.map((output) => output.name)]);
  const initializers = new Map([...model.graph.initializers].filter(([name]) => used.has(name)));
  return { ...model, graph: { ...model.graph, initializers } };
}
