import type { Attribute, Model, Node, TensorData, ValueInfo } from './model.ts';
import { encodeModel, type RawAttribute, type RawNode, type RawTensor, type RawValueInfo } from './proto.ts';
import { DATA_TYPE_CODES } from './read-tensor.ts';
import { tensorBytes } from './tensor.ts';

const TEXT = new TextEncoder();

function rawTensor(tensor: TensorData, name?: string): RawTensor {
  return {
    dims: [...tensor.dims],
    dataType: DATA_TYPE_CODES[tensor.type],
    ...(name === undefined ? {} : { name }),
    rawData: tensorBytes(tensor),
  };
}

function rawAttribute(name: string, attribute: Attribute): RawAttribute {
  switch (attribute.kind) {
    case 'float':
      return { name, type: 1, f: attribute.value };
    case 'int':
      return { name, type: 2, i: attribute.value };
    case 'string':
      return { name, type: 3, s: TEXT.encode(attribute.value) };
    case 'tensor':
      return { name, type: 4, t: rawTensor(attribute.value) };
    case 'graph':
      return { name, type: 5, g: attribute.value };
    case 'floats':
      return { name, type: 6, floats: [...attribute.value] };
    case 'ints':
      return { name, type: 7, ints: [...attribute.value] };
    case 'strings':
      return { name, type: 8, strings: attribute.value.map((text) => TEXT.encode(text)) };
  }
}

function rawNode(node: Node): RawNode {
  return {
    input: [...node.inputs],
    output: [...node.outputs],
    name: node.name,
    opType: node.op,
    ...(node.domain === '' ? {} : { domain: node.domain }),
    attribute: Object.entries(node.attributes).map(([name, value]) => rawAttribute(name, value)),
  };
}

function rawValueInfo(info: ValueInfo): RawValueInfo {
  const dim = info.shape?.map((size) => (typeof size === 'number' ? { dimValue: size } : size === null ? {} : { dimParam: size }));
  return {
    name: info.name,
    type: { tensorType: { elemType: DATA_TYPE_CODES[info.type], ...(dim === undefined ? {} : { shape: { dim } }) } },
  };
}

/**
 * Encodes a model; the same model always gives the same bytes. Values go into `raw_data`, so every tensor is copied once.
 *
 * @returns bytes of a ModelProto that `readModel` turns back into an equal model.
 */
export function writeModel(model: Model): Uint8Array {
  const { graph } = model;
  return encodeModel({
    irVersion: model.irVersion,
    producerName: model.producer,
    graph: {
      node: graph.nodes.map(rawNode),
      name: graph.name,
      initializer: [...graph.initializers].map(([name, tensor]) => rawTensor(tensor, name)),
      input: graph.inputs.map(rawValueInfo),
      output: graph.outputs.map(rawValueInfo),
    },
    opsetImport: model.opsets.map((entry) => ({ ...entry })),
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
  });
}
