import { floatAttribute, type Node, stringAttribute } from '../../onnx/index.ts';
import { permutedIndices } from '../fold/numbers.ts';
import type { BinaryOperator, QuantParams, UnaryOperator } from '../ir.ts';
import type { LowerRule, LowerRules, NodeContext } from '../node-context.ts';
import { memoryOrder, shapeOf, type TensorView, viewOf } from '../tensor-view.ts';

/** Functions that engines compute on int8 through a table, whatever the scales are. */
const TABLED: ReadonlySet<UnaryOperator> = new Set(['sigmoid', 'tanh', 'hardSwish', 'gelu', 'elu', 'exp']);

const within = (value: number, low: number, high: number): boolean => value >= low && value < high;

/** Whether the engine's int8 kernels can compute the function between these scales. */
function unaryFits(operator: UnaryOperator, params: readonly number[], x: QuantParams | undefined, y: QuantParams | undefined): boolean {
  if (!x || !y) return false;
  if (TABLED.has(operator)) return true;
  if (operator !== 'leakyRelu') return false;
  const positive = x.scale / y.scale;
  return within(positive, 2 ** -8, 2 ** 7) && within(Math.abs(positive * (params[0] ?? 0)), 2 ** -8, 2 ** 6);
}

function unary(operator: UnaryOperator, params: (node: Node) => readonly number[] = () => []): LowerRule {
  return (context) => {
    const view = context.view(0);
    const numbers = params(context.node);
    const int8Sink = context.sink({ clamp: false, int8: true });
    const int8 = unaryFits(operator, numbers, context.quantOf(view), int8Sink.quant);
    const sink = int8 ? int8Sink : context.sink({ clamp: false, int8: false });
    const x = int8 ? view : context.inFloat(view);
    context.give(sink, { ...view, value: context.builder.unary(operator, x.value, numbers, sink.quant) });
  };
}

/** Clipping keeps int8 as it is: the bounds move to the same scale. */
function clamp(context: NodeContext, { min, max }: { min: number; max: number }): void {
  const view = context.view(0);
  if (min >= max) context.unsupported('bounds that leave one value');
  context.give(context.node.outputs[0], { ...view, value: context.builder.unary('clamp', view.value, [min, max], context.quantOf(view)) });
}

const clip: LowerRule = (context) =>
  clamp(context, context.clampBounds() ?? context.unsupported('bounds that are computed while the model runs'));

/** An operand with leading dimensions of 1, so that it has `rank`. */
function extended(view: TensorView, rank: number): TensorView {
  return { ...view, axes: [...Array.from({ length: Math.max(0, rank - view.axes.length) }, () => []), ...view.axes] };
}

interface Operand {
  readonly view: TensorView | undefined;
  readonly index: number;
}

/** A constant in the order that the other operand lies in; leading dimensions of 1 are left away. */
function constantIn(context: NodeContext, index: number, order: readonly number[], quant: boolean): number {
  const { data, dims } = context.floatConstant(index, 'values');
  const full = [...new Array<number>(order.length - dims.length).fill(1), ...dims];
  const indices = permutedIndices(full, order);
  const sizes = order.map((axis) => full[axis] ?? 1);
  const from = sizes.findIndex((size) => size !== 1);
  const kept = from < 0 ? [1] : sizes.slice(from);
  const name = context.node.inputs[index] ?? '';
  const stored = quant ? context.int8Constant(index) : undefined;
  if (stored) {
    const values = Int8Array.from(indices, (at) => stored.data[at] ?? 0);
    return context.builder.constant(
      name,
      kept,
      { type: 'qint8', values },
      { scale: stored.scales[0] ?? 1, zeroPoint: stored.zeroPoints[0] ?? 0 },
    );
  }
  return context.builder.floats(
    name,
    kept,
    Float32Array.from(indices, (at) => data[at] ?? 0),
  );
}

/** Parameters of an operand that can take part in an int8 operation. */
function operandQuant(context: NodeContext, { view, index }: Operand): QuantParams | undefined {
  if (view) return context.quantOf(view);
  const stored = context.int8Constant(index);
  return stored?.scales.length === 1 ? { scale: stored.scales[0] ?? 1, zeroPoint: stored.zeroPoints[0] ?? 0 } : undefined;
}

/** Whether the engine's int8 kernels can express these scales. */
function int8Fits(operator: BinaryOperator, a: QuantParams | undefined, b: QuantParams | undefined, y: QuantParams | undefined): boolean {
  if (!a || !b || !y) return false;
  if (operator === 'add' || operator === 'subtract')
    return within(a.scale / y.scale, 2 ** -10, 2 ** 8) && within(b.scale / y.scale, 2 ** -10, 2 ** 8);
  return operator === 'multiply' && within((a.scale * b.scale) / y.scale, 2 ** -16, 2 ** 8);
}

function pairwise(context: NodeContext, operator: BinaryOperator, indices: readonly [number, number]): void {
  const shape = context.outputShape();
  const operands = indices.map((index) => ({
    index,
    view: context.constant(index) ? undefined : extended(context.view(index), shape.length),
  }));
  const [a, b] = operands;
  if (!a || !b || (!a.view && !b.view)) context.unsupported('two constants that are not folded');
  const int8Sink = context.sink({ clamp: true, int8: true });
  const int8 = int8Fits(operator, operandQuant(context, a), operandQuant(context, b), int8Sink.quant);
  const sink = int8 ? int8Sink : context.sink({ clamp: true, int8: false });
  const largest = [a.view, b.view].filter((view) => view !== undefined).sort((p, q) => size(q) - size(p))[0];
  const order = (largest && memoryOrder(largest)) ?? shape.map((_, i) => i);
  const ids = operands.map(({ view, index }) =>
    view ? context.arranged(int8 ? view : context.inFloat(view), order) : constantIn(context, index, order, int8),
  );
  const y = context.builder.binary(operator, ids[0] ?? 0, ids[1] ?? 0, {
    name: sink.names[0] ?? '',
    bounds: sink.bounds,
    ...(sink.quant ? { quant: sink.quant } : {}),
  });
  context.give(sink, viewOf(y, shape, order));
}

const size = (view: TensorView): number => shapeOf(view).reduce((count, edge) => count * edge, 1);

function binary(operator: BinaryOperator): LowerRule {
  return (context) => {
    if (context.node.inputs.length !== 2) context.unsupported(`${context.node.inputs.length} operands`);
    pairwise(context, operator, [0, 1]);
  };
}

function pow(context: NodeContext): void {
  const exponent = context.constant(1);
  const value = exponent?.data.length === 1 ? Number(exponent.data[0]) : undefined;
  if (value === 2) unary('square')(context);
  else if (value === 0.5) unary('squareRoot')(context);
  else context.unsupported(value === undefined ? 'an exponent that is computed or not one number' : `the exponent ${value}`);
}

function hardSigmoid(context: NodeContext): void {
  const { builder, node } = context;
  const view = context.inFloat(context.view(0));
  const scaled = builder.withNumber('multiply', view.value, floatAttribute(node, 'alpha', 0.2));
  const value = builder.withNumber('add', scaled, floatAttribute(node, 'beta', 0.5), { bounds: { min: 0, max: 1 } });
  context.give(node.outputs[0], { ...view, value });
}

/** 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
function tanhGelu(context: NodeContext): void {
  const { builder, node } = context;
  const view = context.inFloat(context.view(0));
  const x = view.value;
  const cubed = builder.binary('multiply', builder.unary('square', x), x);
  const inner = builder.binary('add', x, builder.withNumber('multiply', cubed, 0.044715));
  const tanh = builder.unary('tanh', builder.withNumber('multiply', inner, Math.sqrt(2 / Math.PI)));
  const half = builder.withNumber('multiply', x, 0.5);
  context.give(node.outputs[0], { ...view, value: builder.binary('multiply', half, builder.withNumber('add', tanh, 1)) });
}

function gelu(context: NodeContext): void {
  if (stringAttribute(context.node, 'approximate', 'none') === 'tanh') tanhGelu(context);
  else unary('gelu')(context);
}

function reciprocal(context: NodeContext): void {
  const { builder, node } = context;
  const view = context.inFloat(context.view(0));
  context.give(node.outputs[0], { ...view, value: builder.binary('divide', builder.floats('1', [1], [1]), view.value) });
}

export const ELEMENTWISE_RULES: LowerRules = {
  Relu: (context) => clamp(context, { min: 0, max: Infinity }),
  Clip: clip,
  LeakyRelu: unary('leakyRelu', (node) => [floatAttribute(node, 'alpha', 0.01)]),
  Elu: unary('elu', (node) => [floatAttribute(node, 'alpha', 1)]),
  Sigmoid: unary('sigmoid'),
  Tanh: unary('tanh'),
  HardSwish: unary('hardSwish'),
  HardSigmoid: hardSigmoid,
  Gelu: gelu,
  Exp: unary('exp'),
  Log: unary('log'),
  Sqrt: unary('squareRoot'),
  Abs: unary('abs'),
  Neg: unary('negate'),
  Floor: unary('floor'),
  Ceil: unary('ceiling'),
  Round: unary('roundToEven'),
  Reciprocal: reciprocal,
  Pow: pow,
  PRelu: binary('prelu'),
  Add: binary('add'),
  Sub: binary('subtract'),
  Mul: binary('multiply'),
  Div: binary('divide'),
  Max: binary('maximum'),
  Min: binary('minimum'),
};
