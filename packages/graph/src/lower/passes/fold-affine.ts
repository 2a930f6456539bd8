import { floatAttribute, intAttribute, type Node, type TensorData } from '../../onnx/index.ts';
import { stridesOf } from '../fold/numbers.ts';
import { knownShape, type Network, type Wiring, wiringOf } from '../network.ts';

/** y = x * factor + summand, with one of each per channel. */
interface Affine {
  readonly factors: Float32Array;
  readonly summands: Float32Array;
}

type FloatTensor = TensorData & { type: 'float32' };

function floatsOf(network: Network, name: string | undefined): FloatTensor | undefined {
  const found = network.constants.get(name ?? '');
  return found?.type === 'float32' ? found : undefined;
}

/** How the weights of a node belong to the channels of its result. */
interface Weighted {
  readonly channels: number;
  /** Dimension of the result. */
  readonly channelAxis: number;
  /** Channel of each weight. */
  readonly channelOf: (index: number) => number;
  readonly weights: FloatTensor;
  readonly bias: FloatTensor | undefined;
}

function weightedNode(network: Network, wiring: Wiring, node: Node): Weighted | undefined {
  const weights = floatsOf(network, node.inputs[1]);
  const bias = floatsOf(network, node.inputs[2]);
  const shape = knownShape(network, node.outputs[0]);
  // Quantised weights stay as they are.
  if (!weights || !shape || wiring.makers.has(node.inputs[1] ?? '') || ((node.inputs[2] ?? '') !== '' && !bias)) return undefined;
  const [first = 1, second = 1] = weights.dims;
  const strides = stridesOf(weights.dims);
  const along = (axis: number) => (index: number) => Math.floor(index / (strides[axis] ?? 1)) % (weights.dims[axis] ?? 1);
  const common = { weights, bias };
  if (node.op === 'Conv') return { ...common, channels: first, channelAxis: 1, channelOf: along(0) };
  if (node.op === 'ConvTranspose') {
    const groups = intAttribute(node, 'group', 1);
    const [input, output] = [along(0), along(1)];
    const channelOf = (index: number) => Math.floor(input(index) / (first / groups)) * second + output(index);
    return { ...common, channels: second * groups, channelAxis: 1, channelOf };
  }
  const gemm = node.op === 'Gemm' && floatAttribute(node, 'alpha', 1) === 1 && floatAttribute(node, 'beta', 1) === 1;
  if ((!gemm && node.op !== 'MatMul') || weights.dims.length !== 2) return undefined;
  const axis = gemm && intAttribute(node, 'transB', 0) !== 0 ? 0 : 1;
  const channels = weights.dims[axis] ?? 1;
  if (bias && bias.data.length !== channels) return undefined;
  return { ...common, channels, channelAxis: shape.length - 1, channelOf: along(axis) };
}

/** One value per channel from a constant that is the same everywhere else. */
function perChannel(network: Network, name: string | undefined, rank: number, node: Weighted): Float32Array | undefined {
  const found = floatsOf(network, name);
  if (!found) return undefined;
  const { data, dims } = found;
  if (data.length === 1 && dims.length <= rank) return new Float32Array(node.channels).fill(data[0] ?? 0);
  const at = node.channelAxis - (rank - dims.length);
  return dims[at] === node.channels && data.length === node.channels && dims.length <= rank ? data : undefined;
}

function batchNorm(network: Network, user: Node, node: Weighted): Affine | undefined {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => floatsOf(network, user.inputs[i])?.data);
  if (!scale || !bias || !mean || !variance || node.channelAxis !== 1) return undefined;
  const epsilon = floatAttribute(user, 'epsilon', 1e-5);
  const factors = scale.map((value, i) => value / Math.sqrt((variance[i] ?? 0) + epsilon));
  return { factors, summands: bias.map((value, i) => value - (mean[i] ?? 0) * (factors[i] ?? 0)) };
}

/** What the user of a weighted node's result does to it, where that is the same for a whole channel. */
function affineOf(network: Network, user: Node, result: string, node: Weighted): Affine | undefined {
  const rank = knownShape(network, result)?.length ?? 0;
  if (user.op === 'BatchNormalization') return user.inputs[0] === result ? batchNorm(network, user, node) : undefined;
  const second = user.inputs[0] === result;
  if (user.inputs.length !== 2 || knownShape(network, user.outputs[0])?.join() !== knownShape(network, result)?.join()) return undefined;
  const values = perChannel(network, user.inputs[second ? 1 : 0], rank, node);
  if (!values) return undefined;
  const ones = new Float32Array(node.channels).fill(1);
  const zeros = new Float32Array(node.channels);
  if (user.op === 'Mul') return { factors: values, summands: zeros };
  if (user.op === 'Add') return { factors: ones, summands: values };
  if (user.op === 'Div' && second) return { factors: values.map((value) => 1 / value), summands: zeros };
  if (user.op === 'Sub')
    return second ? { factors: ones, summands: values.map((value) => -value) } : { factors: ones.map(() => -1), summands: values };
  return undefined;
}

/** The node with the affine function in its weights, under the name of what came behind it. */
function absorbed(network: Network, node: Node, user: Node, weighted: Weighted, { factors, summands }: Affine): Node {
  const result = user.outputs[0] ?? '';
  const weightName = `${node.inputs[1]} for ${result}`;
  const biasName = `bias for ${result}`;
  const { weights, bias, channels, channelOf } = weighted;
  const scaled = weights.data.map((value, i) => value * (factors[channelOf(i)] ?? 1));
  const shifted = Float32Array.from({ length: channels }, (_, c) => (bias?.data[c] ?? 0) * (factors[c] ?? 1) + (summands[c] ?? 0));
  for (const [name, tensor] of [
    [weightName, { ...weights, data: scaled }],
    [biasName, { type: 'float32', dims: [channels], data: shifted }],
  ] as const) {
    network.constants.set(name, tensor);
    network.types.set(name, { type: 'float32', shape: tensor.dims });
  }
  return { ...node, inputs: [node.inputs[0] ?? '', weightName, biasName], outputs: [result] };
}

/**
 * Takes batch normalisation, and products and sums with one constant per channel, into the weights of the Conv,
 * ConvTranspose, Gemm or MatMul before them. A MatMul gets its summands as a third input.
 */
export function foldAffine(network: Network): void {
  const wiring = wiringOf(network);
  const gone = new Set<Node>();
  network.nodes = network.nodes.flatMap((original) => {
    if (gone.has(original)) return [];
    let node = original;
    for (;;) {
      const result = node.outputs[0] ?? '';
      const user = wiring.soleUser(result);
      const weighted = user && weightedNode(network, wiring, node);
      const affine = weighted && affineOf(network, user, result, weighted);
      if (!affine) return [node];
      node = absorbed(network, node, user, weighted, affine);
      gone.add(user);
    }
  });
}
