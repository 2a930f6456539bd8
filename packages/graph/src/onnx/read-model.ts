import { AppError } from '@selvedge/contract';
import type { Attribute, Dim, Graph, Model, Node, TensorData, ValueInfo } from './model.ts';
import { nodeLabel } from './model.ts';
import {
  bytesOf,
  decodeModel,
  isPresent,
  type RawAttribute,
  type RawGraph,
  type RawModel,
  type RawNode,
  type RawValueInfo,
} from './proto.ts';
import { dataTypeOf, modelInvalid, readTensor, toSafeInteger } from './read-tensor.ts';

const MAX_NODES = 200_000;
/** The protobuf format itself ends at 2 GiB. */
const MAX_BYTES = 2 ** 31 - 1;

const TEXT = new TextDecoder('utf-8', { fatal: true });

function readText(bytes: Uint8Array, what: string): string {
  try {
    return TEXT.decode(bytes);
  } catch (cause) {
    throw modelInvalid(`${what} is not valid UTF-8.`, cause);
  }
}

/** Keyed by AttributeProto.AttributeType. */
const ATTRIBUTE_READERS: Readonly<Record<number, (raw: RawAttribute, what: string) => Attribute>> = {
  1: (raw) => ({ kind: 'float', value: raw.f ?? 0 }),
  2: (raw) => ({ kind: 'int', value: toSafeInteger(raw.i) }),
  3: (raw, what) => ({ kind: 'string', value: readText(bytesOf(raw.s), what) }),
  4: (raw, what) => ({ kind: 'tensor', value: readTensor(raw.t ?? {}, what) }),
  5: (raw) => ({ kind: 'graph', value: bytesOf(raw.g) }),
  6: (raw) => ({ kind: 'floats', value: raw.floats ?? [] }),
  7: (raw) => ({ kind: 'ints', value: (raw.ints ?? []).map(toSafeInteger) }),
  8: (raw, what) => ({ kind: 'strings', value: (raw.strings ?? []).map((bytes) => readText(bytes, what)) }),
};

function readAttribute(raw: RawAttribute, node: string): [string, Attribute] {
  const name = raw.name ?? '';
  const what = `Attribute "${name}" of ${node}`;
  const read = raw.refAttrName ? undefined : ATTRIBUTE_READERS[raw.type ?? 0];
  if (read === undefined) {
    throw new AppError('OP_UNSUPPORTED', { message: `${what} has the kind ${raw.type ?? 0}, which is not supported.` });
  }
  return [name, read(raw, what)];
}

function readNode(raw: RawNode): Node {
  const op = raw.opType ?? '';
  if (op === '') throw modelInvalid(`Node "${raw.name ?? ''}" names no operator.`);
  const bare: Node = {
    name: raw.name ?? '',
    op,
    domain: raw.domain === 'ai.onnx' ? '' : (raw.domain ?? ''),
    inputs: raw.input ?? [],
    outputs: raw.output ?? [],
    attributes: {},
  };
  const label = nodeLabel(bare);
  return { ...bare, attributes: Object.fromEntries((raw.attribute ?? []).map((entry) => readAttribute(entry, label))) };
}

function readValueInfo(raw: RawValueInfo, role: string): ValueInfo {
  const name = raw.name ?? '';
  const tensor = raw.type?.tensorType;
  if (!tensor) throw new AppError('OP_UNSUPPORTED', { message: `${role} "${name}" is not a tensor.` });
  const readDim = (dim: { dimValue?: unknown; dimParam?: string }): Dim => {
    if (isPresent(dim, 'dimValue')) {
      const size = toSafeInteger(dim.dimValue as Parameters<typeof toSafeInteger>[0]);
      // Some exporters write a dynamic dimension as -1 or 0.
      return size > 0 ? size : null;
    }
    return dim.dimParam ? dim.dimParam : null;
  };
  return {
    name,
    type: dataTypeOf(tensor.elemType ?? 0, `${role} "${name}"`),
    shape: tensor.shape ? (tensor.shape.dim ?? []).map(readDim) : null,
  };
}

function readInitializers(raw: RawGraph): Map<string, TensorData> {
  const initializers = new Map<string, TensorData>();
  for (const tensor of raw.initializer ?? []) {
    const name = tensor.name ?? '';
    if (name === '' || initializers.has(name)) throw modelInvalid(`There is more than one initializer "${name}", or it has no name.`);
    initializers.set(name, readTensor(tensor, `Initializer "${name}"`));
  }
  return initializers;
}

/** Every value has one maker, which comes before its users. Subgraphs may use outer values, so they are not looked into. */
function checkOrder(graph: Graph): void {
  const known = new Set<string>([...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input !== '' && !known.has(input)) throw modelInvalid(`${nodeLabel(node)} uses "${input}", which nothing before it makes.`);
    }
    for (const output of node.outputs) {
      if (output === '') continue;
      if (known.has(output)) throw modelInvalid(`${nodeLabel(node)} makes "${output}", which exists already.`);
      known.add(output);
    }
  }
  for (const output of graph.outputs) {
    if (!known.has(output.name)) throw modelInvalid(`The output "${output.name}" is made by no node.`);
  }
}

function readGraph(raw: RawGraph): Graph {
  if ((raw.sparseInitializer ?? []).length > 0)
    throw new AppError('OP_UNSUPPORTED', { message: 'The model has sparse initializers, which are not supported.' });
  if ((raw.node ?? []).length > MAX_NODES) throw modelInvalid(`The model has more than ${MAX_NODES} nodes.`);
  const initializers = readInitializers(raw);
  const graph: Graph = {
    name: raw.name ?? '',
    nodes: (raw.node ?? []).map(readNode),
    initializers,
    // IR versions before 4 list initializers as inputs too.
    inputs: (raw.input ?? []).filter((input) => !initializers.has(input.name ?? '')).map((input) => readValueInfo(input, 'Input')),
    outputs: (raw.output ?? []).map((output) => readValueInfo(output, 'Output')),
  };
  if (graph.outputs.length === 0) throw modelInvalid('The model has no output.');
  if (new Set(graph.inputs.map((input) => input.name)).size < graph.inputs.length) throw modelInvalid('Two inputs have the same name.');
  checkOrder(graph);
  return graph;
}

function decode(bytes: Uint8Array): RawModel {
  try {
    return decodeModel(bytes);
  } catch (cause) {
    throw modelInvalid('The bytes are not an ONNX model.', cause);
  }
}

/**
 * Reads an ONNX model (ModelProto) from its bytes and checks that its graph is whole.
 *
 * Large tensors share memory with `bytes` where alignment allows it, so do not change `bytes` afterwards. Documentation
 * strings, intermediate value infos and quantization annotations are not kept.
 *
 * @throws AppError MODEL_INVALID when the bytes are no valid model or its data is in other files;
 *   OP_UNSUPPORTED for model features without an equivalent here (sparse tensors, functions, sequences).
 */
export function readModel(bytes: Uint8Array): Model {
  if (bytes.byteLength === 0) throw modelInvalid('The file is empty.');
  if (bytes.byteLength > MAX_BYTES) throw modelInvalid('The file is larger than 2 GiB.');
  const raw = decode(bytes);
  if (!raw.graph) throw modelInvalid('The bytes hold no graph.');
  if ((raw.functions ?? []).length > 0) {
    throw new AppError('OP_UNSUPPORTED', {
      message: 'The model defines functions of its own, which are not supported.',
      hint: 'Inline them before the import (onnx.inliner).',
    });
  }
  return {
    irVersion: toSafeInteger(raw.irVersion),
    producer: raw.producerName ?? '',
    opsets: (raw.opsetImport ?? []).map((entry) => ({ domain: entry.domain ?? '', version: toSafeInteger(entry.version) })),
    graph: readGraph(raw.graph),
    metadata: Object.fromEntries((raw.metadataProps ?? []).map((entry) => [entry.key ?? '', entry.value ?? ''])),
  };
}
