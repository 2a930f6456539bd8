/**
 * An ONNX model as plain data. Everything below can be built, changed and compared like any object; `readModel` and
 * `writeModel` are the only doors to the file format.
 */

interface TensorOf<T extends string, A> {
  readonly type: T;
  /** Sizes, outermost first; `[]` is a scalar. */
  readonly dims: readonly number[];
  /** Row by row; its length is the product of `dims`. */
  readonly data: A;
}

/**
 * A tensor with its values. `float16` and `bfloat16` hold the raw 16 bits, `bool` holds 0 or 1.
 * The array may share memory with the bytes that it was read from.
 */
export type TensorData =
  | TensorOf<'float32', Float32Array>
  | TensorOf<'float64', Float64Array>
  | TensorOf<'float16' | 'bfloat16' | 'uint16', Uint16Array>
  | TensorOf<'int8', Int8Array>
  | TensorOf<'int16', Int16Array>
  | TensorOf<'int32', Int32Array>
  | TensorOf<'int64', BigInt64Array>
  | TensorOf<'uint8' | 'bool', Uint8Array>
  | TensorOf<'uint32', Uint32Array>
  | TensorOf<'uint64', BigUint64Array>;

/** Element type of a tensor. */
export type DataType = TensorData['type'];

/** Value of a node's attribute. Integers beyond ±(2^53-1), which ONNX uses for "to the end", are read as ±(2^53-1). */
export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: TensorData }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  /** A subgraph (If, Loop, Scan), kept as its encoded bytes: it survives a rewrite but is not looked into. */
  | { readonly kind: 'graph'; readonly value: Uint8Array };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  /** May be empty in files; errors then name the first output instead. */
  readonly name: string;
  readonly op: string;
  /** '' is the standard ONNX domain. */
  readonly domain: string;
  /** Names of values; '' is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A dimension: its size, a symbol such as "N", or null where the file says nothing. */
export type Dim = number | string | null;

export interface ValueInfo {
  readonly name: string;
  readonly type: DataType;
  /** null: the file gives no rank. */
  readonly shape: readonly Dim[] | null;
}

export interface Graph {
  readonly name: string;
  /** In an order in which every input is made before it is used. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, TensorData>;
  /** What the caller feeds; initializers are not repeated here. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

export interface Model {
  readonly irVersion: number;
  readonly producer: string;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  readonly graph: Graph;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Version of the standard operator set that the model is written for; 0 when it names none. */
export function opsetOf(model: Model): number {
  return model.opsets.find((entry) => entry.domain === '' || entry.domain === 'ai.onnx')?.version ?? 0;
}

/** How errors and logs call a node: `Conv "conv1"`. */
export function nodeLabel(node: Node): string {
  return `${node.op} "${node.name === '' ? (node.outputs[0] ?? '') : node.name}"`;
}

/** A node of the standard domain. */
export function makeNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
  name?: string,
): Node {
  return { name: name ?? outputs[0] ?? op, op, domain: '', inputs, outputs, attributes };
}

export const attribute = {
  float: (value: number): Attribute => ({ kind: 'float', value }),
  int: (value: number): Attribute => ({ kind: 'int', value }),
  ints: (value: readonly number[]): Attribute => ({ kind: 'ints', value }),
  string: (value: string): Attribute => ({ kind: 'string', value }),
  tensor: (value: TensorData): Attribute => ({ kind: 'tensor', value }),
} as const;

/** The attribute as an integer, or the default when the node has none of that kind. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const found = node.attributes[name];
  return found?.kind === 'int' ? found.value : fallback;
}

/** The attribute as a float, or the default when the node has none of that kind. */
export function floatAttribute(node: Node, name: string, fallback: number): number {
  const found = node.attributes[name];
  return found?.kind === 'float' ? found.value : fallback;
}

/** The attribute as a list of integers; undefined when the node has none. */
export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const found = node.attributes[name];
  return found?.kind === 'ints' ? found.value : undefined;
}

/** The attribute as text, or the default when the node has none of that kind. */
export function stringAttribute(node: Node, name: string, fallback: string): string {
  const found = node.attributes[name];
  return found?.kind === 'string' ? found.value : fallback;
}
