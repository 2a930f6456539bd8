import protobuf from 'protobufjs/light.js';

/** The part of onnx.proto3 (IR version 10) that is read and written here. Names and numbers are the standard's. */
const DESCRIPTOR = {
  nested: {
    Attribute: {
      fields: {
        name: { id: 1, type: 'string' },
        f: { id: 2, type: 'float' },
        i: { id: 3, type: 'int64' },
        s: { id: 4, type: 'bytes' },
        t: { id: 5, type: 'Tensor' },
        // Declared as bytes, which has the same wire form as a message: subgraphs pass through unread.
        g: { id: 6, type: 'bytes' },
        floats: { id: 7, rule: 'repeated', type: 'float' },
        ints: { id: 8, rule: 'repeated', type: 'int64' },
        strings: { id: 9, rule: 'repeated', type: 'bytes' },
        type: { id: 20, type: 'int32' },
        refAttrName: { id: 21, type: 'string' },
      },
    },
    Node: {
      fields: {
        input: { id: 1, rule: 'repeated', type: 'string' },
        output: { id: 2, rule: 'repeated', type: 'string' },
        name: { id: 3, type: 'string' },
        opType: { id: 4, type: 'string' },
        attribute: { id: 5, rule: 'repeated', type: 'Attribute' },
        domain: { id: 7, type: 'string' },
      },
    },
    Entry: { fields: { key: { id: 1, type: 'string' }, value: { id: 2, type: 'string' } } },
    Tensor: {
      fields: {
        dims: { id: 1, rule: 'repeated', type: 'int64' },
        dataType: { id: 2, type: 'int32' },
        floatData: { id: 4, rule: 'repeated', type: 'float' },
        int32Data: { id: 5, rule: 'repeated', type: 'int32' },
        int64Data: { id: 7, rule: 'repeated', type: 'int64' },
        name: { id: 8, type: 'string' },
        rawData: { id: 9, type: 'bytes' },
        doubleData: { id: 10, rule: 'repeated', type: 'double' },
        uint64Data: { id: 11, rule: 'repeated', type: 'uint64' },
        externalData: { id: 13, rule: 'repeated', type: 'Entry' },
        dataLocation: { id: 14, type: 'int32' },
      },
    },
    Dimension: { fields: { dimValue: { id: 1, type: 'int64' }, dimParam: { id: 2, type: 'string' } } },
    Shape: { fields: { dim: { id: 1, rule: 'repeated', type: 'Dimension' } } },
    TensorType: { fields: { elemType: { id: 1, type: 'int32' }, shape: { id: 2, type: 'Shape' } } },
    Type: { fields: { tensorType: { id: 1, type: 'TensorType' } } },
    ValueInfo: { fields: { name: { id: 1, type: 'string' }, type: { id: 2, type: 'Type' } } },
    Graph: {
      fields: {
        node: { id: 1, rule: 'repeated', type: 'Node' },
        name: { id: 2, type: 'string' },
        initializer: { id: 5, rule: 'repeated', type: 'Tensor' },
        input: { id: 11, rule: 'repeated', type: 'ValueInfo' },
        output: { id: 12, rule: 'repeated', type: 'ValueInfo' },
        sparseInitializer: { id: 15, rule: 'repeated', type: 'bytes' },
      },
    },
    Opset: { fields: { domain: { id: 1, type: 'string' }, version: { id: 2, type: 'int64' } } },
    Model: {
      fields: {
        irVersion: { id: 1, type: 'int64' },
        producerName: { id: 2, type: 'string' },
        graph: { id: 7, type: 'Graph' },
        opsetImport: { id: 8, rule: 'repeated', type: 'Opset' },
        metadataProps: { id: 14, rule: 'repeated', type: 'Entry' },
        functions: { id: 25, rule: 'repeated', type: 'bytes' },
      },
    },
  },
};

/** A 64-bit integer as protobufjs gives it. */
export type Int64 = number | { toString(): string; toNumber(): number };

interface RawEntry {
  key?: string;
  value?: string;
}
export interface RawTensor {
  dims?: Int64[];
  dataType?: number;
  floatData?: number[];
  int32Data?: number[];
  int64Data?: Int64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: number[];
  uint64Data?: Int64[];
  externalData?: RawEntry[];
  dataLocation?: number;
}
export interface RawAttribute {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: RawTensor;
  g?: Uint8Array;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  type?: number;
  refAttrName?: string;
}
export interface RawNode {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: RawAttribute[];
  domain?: string;
}
export interface RawValueInfo {
  name?: string;
  type?: { tensorType?: { elemType?: number; shape?: { dim?: { dimValue?: Int64; dimParam?: string }[] } } };
}
export interface RawGraph {
  node?: RawNode[];
  name?: string;
  initializer?: RawTensor[];
  input?: RawValueInfo[];
  output?: RawValueInfo[];
  sparseInitializer?: Uint8Array[];
}
export interface RawModel {
  irVersion?: Int64;
  producerName?: string;
  graph?: RawGraph;
  opsetImport?: { domain?: string; version?: Int64 }[];
  metadataProps?: RawEntry[];
  functions?: Uint8Array[];
}

const MODEL_TYPE = protobuf.Root.fromJSON(DESCRIPTOR).lookupType('Model');

/** Decodes the wire format alone; throws what protobufjs throws. Bytes fields share memory with the input. */
export function decodeModel(bytes: Uint8Array): RawModel {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return MODEL_TYPE.decode(buffer) as unknown as RawModel;
}

export function encodeModel(model: RawModel): Uint8Array {
  return MODEL_TYPE.encode(model).finish();
}

/** A bytes field; protobufjs reads an absent one as an empty list. */
export function bytesOf(field: Uint8Array | undefined): Uint8Array {
  return field instanceof Uint8Array ? field : new Uint8Array(0);
}

/** Whether a field was in the file: absent ones read as the prototype's default. */
export function isPresent(message: object, field: string): boolean {
  return Object.hasOwn(message, field);
}
