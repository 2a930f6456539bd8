import { AppError } from '@selvedge/contract';
import { attribute, constantsOf, float32Tensor, floatAttribute, type Model, type Node, nodeLabel, type TensorData } from '../onnx/index.ts';
import { foldBatchNormalization, raiseOpset, removeDropout } from '../transform/index.ts';
import { wiringOf } from './choose-nodes.ts';
import { ruleOf } from './operators.ts';

const QUANTISED_OPS: ReadonlySet<string> = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'QLinearConv',
  'QLinearMatMul',
]);

/** Takes the factors of a Gemm into its constants. */
function plainGemm(node: Node, tensors: Map<string, TensorData>): Node {
  const [alpha, beta] = [floatAttribute(node, 'alpha', 1), floatAttribute(node, 'beta', 1)];
  const [x = '', w = '', c = ''] = node.inputs;
  const weights = tensors.get(w);
  const bias = tensors.get(c);
  if (weights?.type !== 'float32' || weights.dims.length !== 2 || (alpha === 1 && beta === 1)) return node;
  if (c !== '' && bias?.type !== 'float32') return node;
  const names = [`${node.outputs[0] ?? ''}.weights`, `${node.outputs[0] ?? ''}.bias`];
  if (names.some((name) => tensors.has(name))) return node;
  const scaled = float32Tensor(
    weights.dims,
    weights.data.map((value) => value * alpha),
  );
  tensors.set(names[0] ?? '', scaled);
  if (bias?.type === 'float32')
    tensors.set(
      names[1] ?? '',
      float32Tensor(
        bias.dims,
        bias.data.map((value) => value * beta),
      ),
    );
  const inputs = [x, names[0] ?? '', ...(bias ? [names[1] ?? ''] : [])];
  return { ...node, inputs, attributes: { ...node.attributes, alpha: attribute.float(1), beta: attribute.float(1) } };
}

/** Constant nodes with a tensor become initializers. */
function inlineConstants(model: Model): Model {
  const nodes = model.graph.nodes.filter(
    (node) => node.op !== 'Constant' || node.domain !== '' || node.attributes.value?.kind !== 'tensor',
  );
  return { ...model, graph: { ...model.graph, nodes, initializers: constantsOf(model) } };
}

/**
 * Relu and Clip commute with MaxPool. Before it they become part of the convolution, whose scale then need not cover
 * what they cut off.
 */
function clampBeforePool(model: Model): Model {
  const { maker, users, results } = wiringOf(model);
  const taken = new Set([...maker.keys(), ...users.keys()]);
  const replaced = new Map<Node, Node>();
  for (const clamp of model.graph.nodes) {
    if (ruleOf(clamp)?.kind !== 'clamp') continue;
    const [pooled = '', ...bounds] = clamp.inputs;
    const pool = maker.get(pooled);
    const [source = ''] = pool?.inputs ?? [];
    const bounded = `${source}.bounded`;
    const alone = [source, pooled].every((name) => users.get(name)?.length === 1 && !results.has(name));
    // Bounds that are computed might be made after the pool.
    const fixed = bounds.every((name) => name === '' || model.graph.initializers.has(name));
    if (pool?.op !== 'MaxPool' || pool.outputs.length > 1 || replaced.has(pool) || !alone || !fixed || taken.has(bounded)) continue;
    replaced.set(pool, { ...clamp, inputs: [source, ...bounds], outputs: [bounded] });
    replaced.set(clamp, { ...pool, inputs: [bounded], outputs: clamp.outputs });
  }
  return { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map((node) => replaced.get(node) ?? node) } };
}

/**
 * Brings a model into the form in which it is calibrated and quantised: dropout removed, opset 13 at least, constants as
 * initializers, batch normalization and the factors of Gemm taken into weights, Relu before MaxPool. The values that stay
 * keep their names.
 *
 * @throws AppError INPUT_INVALID when the model is quantised already; OP_UNSUPPORTED when its opset cannot be raised or it has
 *   control flow (If, Loop, Scan).
 */
export function prepareModel(model: Model): Model {
  const quantised = model.graph.nodes.find((node) => QUANTISED_OPS.has(node.op));
  if (quantised) {
    throw new AppError('INPUT_INVALID', {
      message: `The model is quantised already: it has ${nodeLabel(quantised)}.`,
      hint: 'Quantise the float32 model that it was made from.',
    });
  }
  // What a subgraph takes from outside is not in the list of its node's inputs, so no value could be renamed or dropped.
  const control = model.graph.nodes.find((node) => Object.values(node.attributes).some(({ kind }) => kind === 'graph'));
  if (control) {
    throw new AppError('OP_UNSUPPORTED', {
      message: `${nodeLabel(control)} holds a graph of its own; models with control flow cannot be quantised.`,
      hint: 'Export the model without branches and loops.',
      data: { node: control.name, op: control.op },
    });
  }
  const folded = clampBeforePool(foldBatchNormalization(inlineConstants(raiseOpset(removeDropout(model)))));
  const initializers = new Map(folded.graph.initializers);
  const nodes = folded.graph.nodes.map((node) => (node.op === 'Gemm' && node.domain === '' ? plainGemm(node, initializers) : node));
  return { ...folded, graph: { ...folded.graph, nodes, initializers } };
}
