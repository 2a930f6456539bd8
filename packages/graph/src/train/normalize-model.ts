import { AppError } from '@selvedge/contract';
import {
  type Attribute,
  attribute,
  constantsOf,
  IR_VERSION,
  inferShapes,
  int64Tensor,
  intAttribute,
  integerValues,
  type Model,
  makeNode,
  type Node,
  OPSET,
  opsetOf,
  opUnsupported,
  stringAttribute,
  type TensorData,
  type TensorType,
} from '../onnx/index.ts';
import { splitSizes } from '../onnx/shapes/operands.ts';
import { windowOf } from '../onnx/shapes/window.ts';
import { raiseOpset } from '../transform/index.ts';
import { TRAINABLE_OPS } from './gradients/registry.ts';

const OLDEST_OPSET = 7;
const NEWEST_OPSET = 22;

/** Rewrites nodes one by one and collects the initializers that the new ones need. */
interface Rewrite {
  readonly opset: number;
  readonly types: ReadonlyMap<string, TensorType>;
  readonly constants: ReadonlyMap<string, TensorData>;
  readonly added: Map<string, TensorData>;
}

const without = (node: Node, ...names: readonly string[]): Record<string, Attribute> =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));

/** From version 18 on most reductions take their axes as an input. */
function axesToAttribute(node: Node, rewrite: Rewrite): Node {
  const takesList = ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd'].includes(node.op);
  if (rewrite.opset < 18 || !takesList || node.inputs.length < 2) return node;
  const value = rewrite.constants.get(node.inputs[1] ?? '');
  const axes = value && integerValues(value);
  if (!axes) throw opUnsupported(node, 'axes that are computed while the model runs', TRAINABLE_OPS);
  const attributes = { ...without(node, 'noop_with_empty_axes'), ...(axes.length > 0 ? { axes: attribute.ints(axes) } : {}) };
  return { ...node, inputs: node.inputs.slice(0, 1), attributes };
}

/** A gradient begins at one result, so a node with several becomes one for each. */
function splitToSlices(node: Node, rewrite: Rewrite): readonly Node[] {
  const shape = rewrite.types.get(node.inputs[0] ?? '')?.shape ?? [];
  if (node.op !== 'Split') return [node];
  const axis = intAttribute(node, 'axis', 0);
  const source = { node, opset: rewrite.opset, constant: (index: number) => rewrite.constants.get(node.inputs[index] ?? '') };
  const sizes = splitSizes(source, shape.at(axis) ?? null);
  if (typeof sizes === 'string') throw opUnsupported(node, sizes, TRAINABLE_OPS);
  let start = 0;
  return node.outputs.map((output, i) => {
    const bounds = [start, start + (sizes[i] ?? 0), axis].map((value, operand) => {
      const name = `${output}.slice${operand}`;
      rewrite.added.set(name, int64Tensor([value]));
      return name;
    });
    start += sizes[i] ?? 0;
    return makeNode('Slice', [node.inputs[0] ?? '', ...bounds], [output], {}, output);
  });
}

/** Before version 13 softmax ran over all axes from `axis` on; the same thing when it is the last. */
function modernSoftmax(node: Node, rewrite: Pick<Rewrite, 'opset' | 'types'>): Node {
  if (rewrite.opset >= 13 || (node.op !== 'Softmax' && node.op !== 'LogSoftmax')) return node;
  const rank = rewrite.types.get(node.inputs[0] ?? '')?.shape.length ?? 0;
  const axis = intAttribute(node, 'axis', 1);
  if ((axis < 0 ? axis + rank : axis) !== rank - 1)
    throw opUnsupported(node, `opset ${rewrite.opset} semantics over several axes`, TRAINABLE_OPS);
  return { ...node, attributes: { axis: attribute.int(-1) } };
}

function explicitPads(node: Node, rewrite: Rewrite): Node {
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (autoPad === 'NOTSET' || !['Conv', 'MaxPool', 'AveragePool'].includes(node.op)) return node;
  const shapeOf = (index: number) => rewrite.types.get(node.inputs[index] ?? '')?.shape ?? [];
  const given = node.attributes.kernel_shape;
  const kernel =
    given?.kind === 'ints'
      ? given.value
      : shapeOf(1)
          .slice(2)
          .map((size) => size ?? 0);
  const window = windowOf(node, shapeOf(0).slice(2), kernel);
  if (typeof window === 'string') throw opUnsupported(node, window, TRAINABLE_OPS);
  return { ...node, attributes: { ...without(node, 'auto_pad'), pads: attribute.ints(window.pads) } };
}

/** A target shape that repeats a fixed batch copies it instead (0), so that the batch can be opened. */
function openReshape(node: Node, batch: number, rewrite: Rewrite): Node {
  const value = node.op === 'Reshape' ? rewrite.constants.get(node.inputs[1] ?? '') : undefined;
  const target = value && integerValues(value);
  const from = rewrite.types.get(node.inputs[0] ?? '')?.shape[0];
  if (!target || target[0] !== batch || from !== batch || intAttribute(node, 'allowzero', 0) !== 0) return node;
  const name = `${node.outputs[0] ?? ''}.shape`;
  rewrite.added.set(name, int64Tensor([0, ...target.slice(1)]));
  return { ...node, inputs: [node.inputs[0] ?? '', name] };
}

function openBatch(model: Model): Pick<Model['graph'], 'inputs' | 'outputs'> {
  const open = <T extends { shape: Model['graph']['inputs'][number]['shape'] }>(info: T): T =>
    info.shape && info.shape.length > 0 ? { ...info, shape: ['N', ...info.shape.slice(1)] } : info;
  return { inputs: model.graph.inputs.map(open), outputs: model.graph.outputs.map(open) };
}

/**
 * Brings a model into the one form that training knows: opset 17, explicit pads, one result per node, an open batch.
 *
 * @throws AppError OP_UNSUPPORTED, SHAPE_MISMATCH as `inferShapes`; also for models outside opset 7..22.
 */
export function normalizeModel(model: Model): Model {
  const opset = opsetOf(model);
  if (opset < OLDEST_OPSET || opset > NEWEST_OPSET) {
    throw new AppError('OP_UNSUPPORTED', {
      message: `The model is written for opset ${opset}; models of opset ${OLDEST_OPSET} to ${NEWEST_OPSET} can be trained.`,
    });
  }
  const old = { opset, types: inferShapes(model) };
  const modern = raiseOpset({ ...model, graph: { ...model.graph, nodes: model.graph.nodes.map((node) => modernSoftmax(node, old)) } });
  const rewrite: Rewrite = { opset: opsetOf(modern), types: inferShapes(modern), constants: constantsOf(modern), added: new Map() };
  const batch = model.graph.inputs[0]?.shape?.[0];
  const nodes = modern.graph.nodes.flatMap((node) => {
    const explicit = axesToAttribute(explicitPads(node, rewrite), rewrite);
    return splitToSlices(typeof batch === 'number' ? openReshape(explicit, batch, rewrite) : explicit, rewrite);
  });
  const initializers = new Map([...modern.graph.initializers, ...rewrite.added]);
  const normal: Model = {
    ...model,
    irVersion: IR_VERSION,
    opsets: [{ domain: '', version: OPSET }],
    graph: { ...model.graph, nodes, initializers, ...openBatch(model) },
  };
  inferShapes(normal);
  return normal;
}
