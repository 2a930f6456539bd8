import type { DataType } from '../model.ts';
import { intAttribute } from '../model.ts';
import type { ShapeContext, ShapeRules, TensorType } from './rule.ts';

/** Element types by their number in the file format (TensorProto.DataType). */
const TYPE_BY_NUMBER: Readonly<Record<number, DataType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
};

/** The element type that the integer attribute `name` names; undefined when it names none that is known. */
function typeAttribute(context: Pick<ShapeContext, 'node'>, name: string): DataType | undefined {
  return TYPE_BY_NUMBER[intAttribute(context.node, name, 0)];
}

function quantize(context: ShapeContext): TensorType[] {
  const type = context.optional(2)?.type ?? typeAttribute(context, 'output_dtype') ?? 'uint8';
  return [{ type, shape: context.input(0).shape }];
}

function dequantize(context: ShapeContext): TensorType[] {
  return [{ type: context.input(1).type, shape: context.input(0).shape }];
}

function cast(context: ShapeContext): TensorType[] {
  const type = typeAttribute(context, 'to') ?? context.unsupported('a cast to a type that is not known');
  return [{ type, shape: context.input(0).shape }];
}

export const QUANTISED_SHAPES: ShapeRules = { QuantizeLinear: quantize, DequantizeLinear: dequantize, Cast: cast };
