import {
  type Attribute,
  type DataType,
  elementCount,
  floatAttribute,
  intAttribute,
  intsAttribute,
  type Node,
  type TensorData,
  type TensorType,
} from '../../onnx/index.ts';
import { sliceRanges, splitSizes } from '../../onnx/shapes/operands.ts';
import { resolveAxis } from '../../onnx/shapes/rule.ts';
import { gatherIndices, numbersOf, stridesOf, tensorFrom } from './numbers.ts';

/** What an evaluation gets: the node, the values of its inputs and the types of its outputs. */
export interface Evaluation {
  readonly node: Node;
  readonly opset: number;
  readonly inputs: readonly (TensorData | undefined)[];
  readonly results: readonly TensorType[];
}

type Evaluate = (evaluation: Evaluation) => readonly (ArrayLike<number> | undefined)[] | undefined;

const isInteger = (type: DataType | undefined): boolean => type !== undefined && !type.startsWith('float') && type !== 'bfloat16';

function sizesOf(evaluation: Evaluation, output = 0): number[] {
  return (evaluation.results[output]?.shape ?? []).map((size) => size ?? 0);
}

function numbers(evaluation: Evaluation, index: number): Float64Array {
  const input = evaluation.inputs[index];
  return input ? numbersOf(input) : new Float64Array();
}

function dimsOf(evaluation: Evaluation, index: number): readonly number[] {
  return evaluation.inputs[index]?.dims ?? [];
}

/** Operand `index`, repeated to the size of the result. */
function spread(evaluation: Evaluation, index: number): Float64Array {
  const target = sizesOf(evaluation);
  const dims = dimsOf(evaluation, index);
  const values = numbers(evaluation, index);
  const strides = stridesOf(dims);
  const lead = target.length - dims.length;
  const indices = gatherIndices(
    target,
    target.map((_, i) => (i < lead || dims[i - lead] === 1 ? 0 : (strides[i - lead] ?? 0))),
  );
  return Float64Array.from(indices, (at) => values[at] ?? 0);
}

const unary =
  (compute: (value: number) => number): Evaluate =>
  (evaluation) => [numbers(evaluation, 0).map(compute)];

const binary =
  (compute: (a: number, b: number, integer: boolean) => number): Evaluate =>
  (evaluation) => {
    const integer = isInteger(evaluation.inputs[0]?.type);
    let result = spread(evaluation, 0);
    for (let i = 1; i < evaluation.inputs.length; i++) {
      const operand = spread(evaluation, i);
      result = result.map((value, at) => compute(value, operand[at] ?? 0, integer));
    }
    return [result];
  };

const same: Evaluate = (evaluation) => [numbers(evaluation, 0)];

function gather(evaluation: Evaluation): ArrayLike<number>[] {
  const dims = dimsOf(evaluation, 0);
  const axis = resolveAxis(intAttribute(evaluation.node, 'axis', 0), dims.length) ?? 0;
  const edge = dims[axis] ?? 1;
  const values = numbers(evaluation, 0);
  const indices = numbers(evaluation, 1).map((index) => (index < 0 ? index + edge : index));
  const inner = stridesOf(dims)[axis] ?? 1;
  const outer = values.length / (inner * edge || 1);
  const result: number[] = [];
  for (let o = 0; o < outer; o++)
    for (const index of indices) for (let i = 0; i < inner; i++) result.push(values[(o * edge + index) * inner + i] ?? 0);
  return [result];
}

function concat(evaluation: Evaluation): ArrayLike<number>[] {
  const rank = dimsOf(evaluation, 0).length;
  const axis = resolveAxis(intAttribute(evaluation.node, 'axis', 0), rank) ?? 0;
  const outer = sizesOf(evaluation)
    .slice(0, axis)
    .reduce((a, b) => a * b, 1);
  const parts = evaluation.inputs.map((_, i) => numbers(evaluation, i));
  const result: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const part of parts) {
      const run = part.length / outer;
      for (let i = 0; i < run; i++) result.push(part[o * run + i] ?? 0);
    }
  }
  return [result];
}

function block(evaluation: Evaluation, output: number, starts: readonly number[], steps: readonly number[]): Float64Array {
  const strides = stridesOf(dimsOf(evaluation, 0));
  const values = numbers(evaluation, 0);
  const offset = starts.reduce((sum, start, i) => sum + start * (strides[i] ?? 0), 0);
  const indices = gatherIndices(
    sizesOf(evaluation, output),
    strides.map((stride, i) => stride * (steps[i] ?? 1)),
    offset,
  );
  return Float64Array.from(indices, (at) => values[at] ?? 0);
}

const operandsOf = (evaluation: Evaluation) => ({ ...evaluation, constant: (index: number) => evaluation.inputs[index] });

function slice(evaluation: Evaluation): ArrayLike<number>[] | undefined {
  const dims = dimsOf(evaluation, 0);
  const ranges = sliceRanges(operandsOf(evaluation), dims);
  if (typeof ranges === 'string') return undefined;
  return [
    block(
      evaluation,
      0,
      dims.map((_, i) => ranges.get(i)?.start ?? 0),
      dims.map((_, i) => ranges.get(i)?.step ?? 1),
    ),
  ];
}

function split(evaluation: Evaluation): ArrayLike<number>[] | undefined {
  const dims = dimsOf(evaluation, 0);
  const axis = resolveAxis(intAttribute(evaluation.node, 'axis', 0), dims.length) ?? 0;
  const sizes = splitSizes(operandsOf(evaluation), dims[axis] ?? null);
  if (typeof sizes === 'string') return undefined;
  let start = 0;
  return sizes.map((size, i) => {
    const part = block(
      evaluation,
      i,
      dims.map((_, at) => (at === axis ? start : 0)),
      [],
    );
    start += size;
    return part;
  });
}

function transpose(evaluation: Evaluation): ArrayLike<number>[] {
  const dims = dimsOf(evaluation, 0);
  const perm = intsAttribute(evaluation.node, 'perm') ?? dims.map((_, i) => dims.length - 1 - i);
  const strides = stridesOf(dims);
  const values = numbers(evaluation, 0);
  const indices = gatherIndices(
    sizesOf(evaluation),
    perm.map((axis) => strides[axis] ?? 0),
  );
  return [Float64Array.from(indices, (at) => values[at] ?? 0)];
}

function filled(evaluation: Evaluation): ArrayLike<number>[] {
  const value: Attribute | undefined = evaluation.node.attributes.value;
  const fill = value?.kind === 'tensor' ? Number(value.value.data[0] ?? 0) : 0;
  return [new Float64Array(sizesOf(evaluation).reduce((a, b) => a * b, 1)).fill(fill)];
}

function range(evaluation: Evaluation): ArrayLike<number>[] {
  const [start = 0] = numbers(evaluation, 0);
  const [step = 1] = numbers(evaluation, 2);
  return [Float64Array.from({ length: sizesOf(evaluation)[0] ?? 0 }, (_, i) => start + i * step)];
}

function dequantize(evaluation: Evaluation): ArrayLike<number>[] {
  const dims = dimsOf(evaluation, 0);
  const scales = numbers(evaluation, 1);
  const zeroPoints = numbers(evaluation, 2);
  const axis = resolveAxis(intAttribute(evaluation.node, 'axis', 1), dims.length) ?? 0;
  const inner = stridesOf(dims)[axis] ?? 1;
  const channels = scales.length === 1 ? 1 : (dims[axis] ?? 1);
  return [
    numbers(evaluation, 0).map((value, i) => {
      const channel = Math.floor(i / inner) % channels;
      return (value - (zeroPoints[channel] ?? 0)) * (scales[channel] ?? 1);
    }),
  ];
}

function reduction(start: number, step: (sum: number, value: number) => number): Evaluate {
  // Shape arithmetic reduces lists alone; anything larger is left to the engine.
  return (evaluation) => (dimsOf(evaluation, 0).length === 1 ? [[numbers(evaluation, 0).reduce(step, start)]] : undefined);
}

/** Operators whose result is worked out before the model runs when all their inputs are known. */
const EVALUATIONS: Readonly<Record<string, Evaluate>> = {
  Identity: same,
  Reshape: same,
  Flatten: same,
  Squeeze: same,
  Unsqueeze: same,
  Dropout: same,
  Cast: (evaluation) => [isInteger(evaluation.results[0]?.type) ? numbers(evaluation, 0).map(Math.trunc) : numbers(evaluation, 0)],
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Split: split,
  Transpose: transpose,
  Expand: (evaluation) => [spread(evaluation, 0)],
  ConstantOfShape: filled,
  Range: range,
  DequantizeLinear: dequantize,
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b, integer) => (integer ? Math.trunc(a / b) : a / b)),
  Pow: binary((a, b) => a ** b),
  Max: binary((a, b) => Math.max(a, b)),
  Min: binary((a, b) => Math.min(a, b)),
  Equal: binary((a, b) => Number(a === b)),
  Greater: binary((a, b) => Number(a > b)),
  Less: binary((a, b) => Number(a < b)),
  Where: (evaluation) => {
    const [condition, a, b] = [0, 1, 2].map((i) => spread(evaluation, i));
    return [(condition ?? new Float64Array()).map((choice, i) => (choice ? a?.[i] : b?.[i]) ?? 0)];
  },
  Not: unary((value) => Number(!value)),
  Neg: unary((value) => -value),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Sqrt: unary(Math.sqrt),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Tanh: unary(Math.tanh),
  Relu: unary((value) => Math.max(value, 0)),
  LeakyRelu: (evaluation) => {
    const alpha = floatAttribute(evaluation.node, 'alpha', 0.01);
    return [numbers(evaluation, 0).map((value) => (value < 0 ? value * alpha : value))];
  },
  Reciprocal: unary((value) => 1 / value),
  ReduceProd: reduction(1, (a, b) => a * b),
  ReduceSum: reduction(0, (a, b) => a + b),
  ReduceMax: reduction(-Infinity, Math.max),
  ReduceMin: reduction(Infinity, Math.min),
};

/** A model of a few bytes can ask for tensors of any size; weights are well below this. */
const MAX_FOLDED_ELEMENTS = 2 ** 26;

/** Values of the node's outputs; undefined when the operator, or this use of it, is left to the engine. */
export function evaluate(evaluation: Evaluation): readonly (TensorData | undefined)[] | undefined {
  const { node, results } = evaluation;
  const compute = Object.hasOwn(EVALUATIONS, node.op) ? EVALUATIONS[node.op] : undefined;
  if (results.some((_, i) => elementCount(sizesOf(evaluation, i)) > MAX_FOLDED_ELEMENTS)) return undefined;
  return compute?.(evaluation)?.map((values, i) => {
    const type = results[i];
    return values && type ? tensorFrom(type.type, sizesOf(evaluation, i), values) : undefined;
  });
}
