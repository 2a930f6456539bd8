import { AppError } from '@selvedge/contract';
import type { Tensor } from '@selvedge/graph/session';
import * as z from 'zod';
import type { BinaryTensors } from './v2-binary.ts';

/** Data types of the Open Inference Protocol that a package may have, and ours. FP16 has no JSON form in the protocol. */
const TYPES = {
  BOOL: 'bool',
  UINT8: 'uint8',
  INT8: 'int8',
  INT32: 'int32',
  INT64: 'int64',
  FP32: 'float32',
  FP16: 'float16',
} as const;
export type V2Type = keyof typeof TYPES;

const datatypeSchema = z.enum(['BOOL', 'UINT8', 'INT8', 'INT32', 'INT64', 'FP32', 'FP16']);

export const inferenceRequestSchema = z.object({
  id: z.string().max(256).optional(),
  inputs: z
    .array(
      z.object({
        name: z.string().max(256),
        shape: z
          .array(
            z
              .int()
              .min(0)
              .max(2 ** 31 - 1),
          )
          .max(16),
        datatype: datatypeSchema,
        data: z.array(z.unknown()).optional(),
        parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
      }),
    )
    .min(1)
    .max(64),
  outputs: z
    .array(z.object({ name: z.string().max(256), parameters: z.object({ binary_data: z.boolean().optional() }).optional() }))
    .max(64)
    .optional(),
  /** `binary_data_output`: what holds for the outputs that say nothing themselves. */
  parameters: z.object({ binary_data_output: z.boolean().optional() }).optional(),
});
export type InferenceRequest = z.infer<typeof inferenceRequestSchema>;

const RANGES: Partial<Record<V2Type, readonly [number, number]>> = {
  UINT8: [0, 255],
  INT8: [-128, 127],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

const MAX_NESTING = 16;

function flatten(data: readonly unknown[], into: unknown[], depth: number): void {
  if (depth > MAX_NESTING) throw new AppError('INPUT_INVALID', { message: 'The data is nested too deeply.' });
  for (const item of data) {
    if (Array.isArray(item)) flatten(item, into, depth + 1);
    else into.push(item);
  }
}

function toNumber(value: unknown, type: V2Type, name: string): number {
  if (type === 'BOOL' && typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'number' || type === 'BOOL') {
    throw new AppError('INPUT_INVALID', { message: `The data of input "${name}" holds something that is not a ${type}.` });
  }
  const range = RANGES[type];
  if (range !== undefined && (!Number.isInteger(value) || value < range[0] || value > range[1])) {
    throw new AppError('INPUT_INVALID', { message: `The data of input "${name}" holds ${value}, which is not a ${type}.` });
  }
  return value;
}

/**
 * Reads one tensor of a request: from its JSON, where the data may be flat or nested, or from the bytes behind the JSON.
 *
 * @throws AppError INPUT_INVALID, SHAPE_MISMATCH (user).
 */
export function readTensor(input: InferenceRequest['inputs'][number], binary: BinaryTensors): Tensor {
  const { name, data, parameters } = input;
  const size = parameters?.binary_data_size;
  if ((size === undefined) === (data === undefined))
    throw new AppError('INPUT_INVALID', { message: `Input "${name}" needs its data either in JSON or behind it.` });
  return size === undefined ? readJsonTensor(input, data ?? []) : binary.take(input, size);
}

function readJsonTensor(input: InferenceRequest['inputs'][number], data: readonly unknown[]): Tensor {
  const { name, shape: dims, datatype } = input;
  const values: unknown[] = [];
  flatten(data, values, 0);
  const expected = dims.reduce((product, edge) => product * edge, 1);
  if (values.length !== expected) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `Input "${name}" of shape [${dims.join(', ')}] needs ${expected} values and has ${values.length}.`,
    });
  }
  const numbers = () => values.map((value) => toNumber(value, datatype, name));
  switch (datatype) {
    case 'FP32':
      return { type: 'float32', dims, data: Float32Array.from(numbers()) };
    case 'INT32':
      return { type: 'int32', dims, data: Int32Array.from(numbers()) };
    case 'INT64':
      return { type: 'int64', dims, data: BigInt64Array.from(numbers(), (value) => BigInt(value)) };
    case 'INT8':
      return { type: 'int8', dims, data: Int8Array.from(numbers()) };
    case 'UINT8':
      return { type: 'uint8', dims, data: Uint8Array.from(numbers()) };
    case 'BOOL':
      return { type: 'bool', dims, data: Uint8Array.from(numbers()) };
    case 'FP16':
      throw new AppError('INPUT_INVALID', { message: `Input "${name}": FP16 cannot be sent as JSON; send it in binary.` });
  }
}

/** The protocol's name of an element type; undefined when it has none. */
export function v2Type(type: string): V2Type | undefined {
  return datatypeSchema.options.find((name) => TYPES[name] === type);
}

/** A tensor with its data in the JSON. */
export function writeTensor(name: string, tensor: Tensor) {
  return { ...describeTensor(name, tensor), data: jsonData(tensor) };
}

/** A tensor whose bytes follow the JSON. */
export function writeBinaryTensor(name: string, tensor: Tensor) {
  return { ...describeTensor(name, tensor), parameters: { binary_data_size: tensor.data.byteLength } };
}

function describeTensor(name: string, tensor: Tensor) {
  return { name, datatype: v2Type(tensor.type) ?? tensor.type.toUpperCase(), shape: [...tensor.dims] };
}

/** NaN and the infinities have no JSON form; the protocol leaves them open, and null is what JSON.stringify makes. */
function jsonData(tensor: Tensor): (number | boolean)[] {
  if (tensor.type === 'int64' || tensor.type === 'uint64') return Array.from(tensor.data, Number);
  if (tensor.type === 'bool') return Array.from(tensor.data, (value) => value !== 0);
  return Array.from(tensor.data);
}
