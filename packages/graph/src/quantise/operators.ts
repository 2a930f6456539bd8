import { floatAttribute, intAttribute, type Node, stringAttribute, type TensorData } from '../onnx/index.ts';

/**
 * What quantisation does with an operator:
 * - `weighted`: int8 weights per channel, int32 bias;
 * - `compute`: every value has its own scale;
 * - `clamp`: Relu and Clip, taken into the operator before them where that is possible;
 * - `move`: only moves values, so that one scale serves all its inputs and outputs.
 */
type OperatorKind = 'weighted' | 'compute' | 'clamp' | 'move';

export interface OperatorRule {
  readonly kind: OperatorKind;
  /** Indices of the inputs that are activations. */
  readonly operands: (node: Node) => readonly number[];
  /** Costs nothing to speak of in float, so it is not worth a common scale at the end of a model. */
  readonly cheap: boolean;
  /** Why this use of the operator stays in float; undefined when it can be quantised. */
  readonly refusal: (node: Node, constants: ReadonlyMap<string, TensorData>) => string | undefined;
}

type Refusal = OperatorRule['refusal'];

const accepts: Refusal = () => undefined;
const first = (): readonly number[] => [0];
const firstTwo = (): readonly number[] => [0, 1];
const all = (node: Node): readonly number[] => node.inputs.map((_, i) => i);

const rule = (kind: OperatorKind, refusal: Refusal = accepts, operands: OperatorRule['operands'] = first): OperatorRule => ({
  kind,
  operands,
  cheap: false,
  refusal,
});
const cheap = (refusal: Refusal = accepts, operands: OperatorRule['operands'] = first): OperatorRule => ({
  ...rule('move', refusal, operands),
  cheap: true,
});

function constantWeights(rankAtLeast: number): Refusal {
  return (node, constants) => {
    const weights = constants.get(node.inputs[1] ?? '');
    if (weights?.type !== 'float32') return 'its weights are not constant';
    if (weights.dims.length < rankAtLeast) return `its weights have ${weights.dims.length} dimensions`;
    if (!weights.data.every((value) => Number.isFinite(value))) return 'its weights are not all finite';
    const bias = node.inputs[2] ?? '';
    const tensor = constants.get(bias);
    if (bias !== '' && tensor?.type !== 'float32') return 'its bias is not constant';
    return tensor?.type === 'float32' && !tensor.data.every((value) => Number.isFinite(value)) ? 'its bias is not finite' : undefined;
  };
}

const gemm: Refusal = (node, constants) => {
  const refused = constantWeights(2)(node, constants);
  if (refused) return refused;
  if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1) return 'it multiplies by alpha or beta';
  if (intAttribute(node, 'transA', 0) !== 0) return 'it transposes its input';
  const weights = constants.get(node.inputs[1] ?? '');
  const columns = weights?.dims[intAttribute(node, 'transB', 0) === 0 ? 1 : 0];
  const bias = constants.get(node.inputs[2] ?? '');
  const perColumn = !bias || bias.data.length === 1 || (bias.data.length === columns && bias.dims.at(-1) === columns);
  return perColumn ? undefined : 'its bias is no row of one value per column';
};

const matMul: Refusal = (node, constants) =>
  constants.has(node.inputs[1] ?? '') && constants.get(node.inputs[1] ?? '')?.dims.length !== 2
    ? 'its weights are no matrix'
    : constantWeights(2)(node, constants);

const clip: Refusal = (node, constants) =>
  node.inputs.slice(1).every((name) => name === '' || constants.has(name)) ? undefined : 'its bounds are not constant';

const maxPool: Refusal = (node) => (node.outputs.length > 1 && node.outputs[1] !== '' ? 'its indices are used' : undefined);

const pad: Refusal = (node, constants) => {
  if (stringAttribute(node, 'mode', 'constant') !== 'constant' || !node.inputs[2]) return undefined;
  const value = constants.get(node.inputs[2]);
  return value?.type === 'float32' && value.data[0] === 0 ? undefined : 'it pads with another value than 0';
};

const resize: Refusal = (node) => {
  const mode = stringAttribute(node, 'mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') return `its mode is "${mode}"`;
  // That mode puts a value outside the picture which need not be within its range.
  return stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize' ? 'it crops' : undefined;
};

/** The operators of the standard domain that are quantised. All others stay in float. */
const QUANTISABLE: Readonly<Record<string, OperatorRule>> = {
  Conv: rule('weighted', constantWeights(3)),
  ConvTranspose: rule('weighted', constantWeights(3)),
  Gemm: rule('weighted', gemm),
  MatMul: rule('weighted', matMul),
  Add: rule('compute', accepts, firstTwo),
  Sub: rule('compute', accepts, firstTwo),
  Mul: rule('compute', accepts, firstTwo),
  LeakyRelu: rule('compute'),
  HardSwish: rule('compute'),
  Sigmoid: rule('compute'),
  Tanh: rule('compute'),
  AveragePool: rule('compute'),
  GlobalAveragePool: rule('compute'),
  ReduceMean: rule('compute'),
  Relu: rule('clamp'),
  Clip: rule('clamp', clip),
  MaxPool: rule('move', maxPool),
  GlobalMaxPool: rule('move'),
  Resize: rule('move', resize),
  Pad: rule('move', pad),
  Concat: cheap(accepts, all),
  Reshape: cheap(),
  Flatten: cheap(),
  Transpose: cheap(),
  Squeeze: cheap(),
  Unsqueeze: cheap(),
  Slice: cheap(),
  Split: cheap(),
  DepthToSpace: cheap(),
  SpaceToDepth: cheap(),
  Identity: cheap(),
};

/** The rule for a node; undefined when its operator stays in float. */
export function ruleOf(node: Node): OperatorRule | undefined {
  return node.domain === '' && Object.hasOwn(QUANTISABLE, node.op) ? QUANTISABLE[node.op] : undefined;
}

/** The names of a node's activation inputs. */
export function operandsOf(node: Node, rule: OperatorRule): readonly string[] {
  return rule.operands(node).flatMap((index) => node.inputs[index] || []);
}
