import { AppError } from '@selvedge/contract';
import {
  createRandom,
  elementCount,
  float32Tensor,
  inferShapes,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  nodeLabel,
  type TensorData,
} from '../onnx/index.ts';

export interface ClassifierSpec {
  /** Values that the model shall give per sample. */
  readonly classes: number;
  /** Seeds the new weights; 0..2^32-1. */
  readonly seed: number;
}

/** Operators that may stand between the last layer and the output: they keep the classes apart. */
const AFTER_LAYER: ReadonlySet<string> = new Set([
  'Softmax',
  'LogSoftmax',
  'Sigmoid',
  'Flatten',
  'Identity',
  'GlobalAveragePool',
  'Squeeze',
  'Dropout',
]);
const LAYERS: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'Conv']);

function cannotFit(model: Model, why: string): AppError {
  return new AppError('OP_UNSUPPORTED', {
    message: `The classifier of "${model.graph.name}" cannot be replaced: ${why}.`,
    hint: 'Begin with a model that ends with a dense layer (Gemm or MatMul) or a convolution, and Softmax or Sigmoid at most behind it.',
  });
}

/** The layer that makes the scores, and the Add of a bias behind a MatMul. */
function findLayer(model: Model): { layer: Node; bias: Node | undefined } {
  const { nodes, outputs, initializers } = model.graph;
  let name = outputs[0]?.name ?? '';
  let bias: Node | undefined;
  for (;;) {
    const node = nodes.find((each) => each.domain === '' && each.outputs.includes(name));
    if (!node) throw cannotFit(model, `nothing that is known makes "${name}"`);
    if (LAYERS.has(node.op) && initializers.has(node.inputs[1] ?? '')) return { layer: node, bias };
    const [a = '', b = ''] = node.inputs;
    if (node.op === 'Add' && !bias && (initializers.has(a) || initializers.has(b))) {
      bias = node;
      name = initializers.has(a) ? b : a;
    } else if (AFTER_LAYER.has(node.op)) name = a;
    else throw cannotFit(model, `it ends with ${nodeLabel(node)}`);
  }
}

/** The axis of the weights that counts the outputs. */
function outputAxis(layer: Node, weights: TensorData): number {
  if (layer.op === 'Conv') return 0;
  if (layer.op === 'Gemm') return intAttribute(layer, 'transB', 0) !== 0 ? 0 : 1;
  return weights.dims.length - 1;
}

/**
 * Gives a trained classifier another number of classes: its last layer is replaced by a new one, everything before it stays.
 * A model that has this number of outputs already is returned as it is, with its last layer.
 *
 * @param model - its first output is [N, classes]; the last layer is a Gemm, MatMul or Conv.
 * @throws AppError OP_UNSUPPORTED naming the node that stands in the way; SHAPE_MISMATCH as `inferShapes`.
 */
export function fitClassifier(model: Model, { classes, seed }: ClassifierSpec): Model {
  const output = model.graph.outputs[0];
  const shape = inferShapes(model).get(output?.name ?? '')?.shape ?? [];
  if (!output || shape.length !== 2)
    throw cannotFit(model, `its output is not [N, classes] but [${shape.map((dim) => dim ?? '?').join(', ')}]`);
  if (shape[1] === classes) return model;
  const { layer, bias } = findLayer(model);
  const weights = model.graph.initializers.get(layer.inputs[1] ?? '');
  if (weights?.type !== 'float32' || (layer.op === 'Conv' && intAttribute(layer, 'group', 1) !== 1))
    throw cannotFit(model, `the weights of ${nodeLabel(layer)} are not float32 in one group`);
  const dims = weights.dims.with(outputAxis(layer, weights), classes);
  const random = createRandom(seed, classes);
  const deviation = Math.sqrt(classes / elementCount(dims));
  const initializers = new Map(model.graph.initializers);
  const fresh = (tensor: TensorData, like: string): string => {
    let name = `${like}.classes${classes}`;
    while (initializers.has(name)) name += '_';
    initializers.set(name, tensor);
    return name;
  };
  const values = Float32Array.from({ length: elementCount(dims) }, () => deviation * random.normal());
  const names = [layer.inputs[0] ?? '', fresh(float32Tensor(dims, values), layer.inputs[1] ?? 'W')];
  const zeros = float32Tensor([classes], new Float32Array(classes));
  if (layer.inputs[2]) names.push(fresh(zeros, layer.inputs[2]));
  const nodes = model.graph.nodes.map((node) => {
    if (node === layer) return { ...node, inputs: names };
    if (node !== bias) return node;
    const [a = '', b = ''] = node.inputs;
    const [value, old] = model.graph.initializers.has(a) ? [b, a] : [a, b];
    return makeNode('Add', [value, fresh(zeros, old)], node.outputs, node.attributes, node.name);
  });
  const outputs = model.graph.outputs.map((each) =>
    each === output && each.shape ? { ...each, shape: each.shape.with(1, classes) } : each,
  );
  const used = new Set(nodes.flatMap((node) => node.inputs));
  for (const name of initializers.keys()) if (!used.has(name)) initializers.delete(name);
  const fitted = { ...model, graph: { ...model.graph, nodes, initializers, outputs } };
  inferShapes(fitted);
  return fitted;
}
