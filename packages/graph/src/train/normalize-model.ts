import { AppError } from '@selvedge/contract';
import {
  type Attribute,
  attribute,
  constantsOf,
  float32Tensor,
  floatAttribute,
  IR_VERSION,
  inferShapes,
  int64Tensor,
  intAttribute,
  integerValues,
  type Model,
  type Node,
  OPSET,
  opsetOf,
  opUnsupported,
  stringAttribute,
  type TensorData,
  type TensorType,
} from '../onnx/index.ts';
import { windowOf } from '../onnx/shapes/window.ts';
import { TRAINABLE_OPS } from './gradients/registry.ts';

const OLDEST_OPSET = 7;
const NEWEST_OPSET = 22;

/** Rewrites nodes one by one and collects the initializers that the new ones need. */
interface Rewrite {
  readonly opset: number;
  readonly types: ReadonlyMap<string, TensorType>;
  readonly added: Map<string, TensorData>;
}

const without = (node: Node, ...names: readonly string[]): Record<string, Attribute> =>
  Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));

/** Clip-6 and Dropout-7 have attributes where later versions have inputs. */
function attributesToInputs(node: Node, rewrite: Rewrite): Node {
  const input = (key: string, value: number | undefined): string => {
    if (value === undefined) return '';
    const name = `${node.outputs[0] ?? ''}.${key}`;
    rewrite.added.set(name, float32Tensor([], Float32Array.of(value)));
    return name;
  };
  const given = (key: string): number | undefined => (node.attributes[key]?.kind === 'float' ? floatAttribute(node, key, 0) : undefined);
  const x = node.inputs[0] ?? '';
  if (node.op === 'Clip' && rewrite.opset < 11) {
    return { ...node, inputs: [x, input('min', given('min')), input('max', given('max'))], attributes: without(node, 'min', 'max') };
  }
  if (node.op === 'Dropout' && rewrite.opset < 12) {
    return { ...node, inputs: [x, input('ratio', given('ratio') ?? 0.5)], attributes: without(node, 'ratio') };
  }
  return node;
}

/** Before version 13 softmax ran over all axes from `axis` on; the same thing when it is the last. */
function modernSoftmax(node: Node, rewrite: Rewrite): Node {
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
function openReshape(node: Node, batch: number, constants: ReadonlyMap<string, TensorData>, rewrite: Rewrite): Node {
  const value = node.op === 'Reshape' ? constants.get(node.inputs[1] ?? '') : undefined;
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
 * Brings a model into the one form that training knows: opset 17, explicit pads, an open batch.
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
  const rewrite: Rewrite = { opset, types: inferShapes(model), added: new Map() };
  const batch = model.graph.inputs[0]?.shape?.[0];
  const constants = constantsOf(model);
  const nodes = model.graph.nodes.map((node) => {
    const modern = explicitPads(modernSoftmax(attributesToInputs(node, rewrite), rewrite), rewrite);
    return typeof batch === 'number' ? openReshape(modern, batch, constants, rewrite) : modern;
  });
  const initializers = new Map([...model.graph.initializers, ...rewrite.added]);
  const normal: Model = {
    ...model,
    irVersion: IR_VERSION,
    opsets: [{ domain: '', version: OPSET }],
    graph: { ...model.graph, nodes, initializers, ...openBatch(model) },
  };
  inferShapes(normal);
  return normal;
}
