import { elementCount, floatAttribute, intAttribute } from '../../onnx/index.ts';
import { permutedIndices } from '../fold/numbers.ts';
import type { LowerRules, NodeContext } from '../node-context.ts';
import { memoryOrder, shapeOf, type TensorView, viewOf } from '../tensor-view.ts';
import { linearOperands } from '../weights.ts';

interface Rows {
  readonly view: TensorView;
  /** Sizes of the pieces of the last dimension, in the order of the model, and the order in which they lie. */
  readonly pieces: readonly number[];
  readonly lying: readonly number[];
}

/**
 * The operand as rows of K values. The values of a row may lie in another order than the model's: the weights follow it,
 * so that flattening a picture moves nothing.
 */
function rowsOf(context: NodeContext, view: TensorView): Rows {
  const rows = view.axes.slice(0, -1).flat();
  const last = view.axes.at(-1) ?? [];
  const lying = [...last].sort((a, b) => a - b);
  if ([...rows, ...lying].every((atom, i) => atom === i)) {
    return { view, pieces: last.map((atom) => view.atoms[atom] ?? 1), lying: lying.map((atom) => last.indexOf(atom)) };
  }
  const moved = context.moved(
    view,
    view.axes.map((_, i) => i),
  );
  const size = shapeOf(view).at(-1) ?? 1;
  return { view: moved, pieces: [size], lying: [0] };
}

interface Product {
  /** Input holding the matrix, [K, N] or (transposed) [N, K]. */
  readonly transposed: boolean;
  readonly factor: number;
  readonly bias: ArrayLike<number> | undefined;
}

function fullyConnected(context: NodeContext, product: Product): void {
  const rows = rowsOf(context, context.view(0));
  const [first = 1, second = 1] = context.shape(1);
  const [outputs, inputs] = product.transposed ? [first, second] : [second, first];
  const pieces = rows.pieces;
  // Either [N, pieces of K...] or [pieces of K..., N].
  const dims = product.transposed ? [outputs, ...pieces] : [...pieces, outputs];
  const perm = product.transposed ? [0, ...rows.lying.map((piece) => piece + 1)] : [pieces.length, ...rows.lying];
  const { sink, x, weights, bias } = linearOperands(context, rows.view, {
    dims: [outputs, inputs],
    indices: permutedIndices(dims, perm),
    channelAxis: 0,
    outputs,
    scaleAxis: product.transposed ? 0 : 1,
    scaleOf: (output) => output,
    factor: product.factor,
    bias: product.bias,
  });
  const shape = context.outputShape();
  const count = elementCount(shape) / outputs;
  const y = context.builder.temporary(sink.names[0] ?? '', [count, outputs], sink.quant);
  const flat = context.builder.withDims(x.value, [count, inputs]);
  context.builder.ops.push({ op: 'fullyConnected', x: flat, weights, bias, y, bounds: sink.bounds });
  context.give(sink, viewOf(y, shape));
}

/** Constant added to every row: one value per output, or the same for all. */
function rowBias(context: NodeContext, index: number, outputs: number, factor: number): Float32Array | undefined {
  if (!context.has(index)) return undefined;
  const found = context.constant(index);
  if (
    found?.type !== 'float32' ||
    (found.data.length !== outputs && found.data.length !== 1) ||
    found.dims.slice(0, -1).some((size) => size !== 1)
  )
    context.unsupported('a third operand that is computed while the model runs or differs by row');
  const { data } = found;
  return Float32Array.from({ length: outputs }, (_, i) => (data[data.length === 1 ? 0 : i] ?? 0) * factor);
}

/** Product of two computed operands; leading dimensions must agree. */
function batched(context: NodeContext, a: TensorView, b: TensorView): number {
  const left = shapeOf(a);
  const right = shapeOf(b);
  const rank = Math.max(left.length, right.length);
  const identity = Array.from({ length: rank }, (_, i) => i);
  const lead = (view: TensorView): TensorView => ({
    ...view,
    axes: [...Array.from({ length: rank - view.axes.length }, () => []), ...view.axes],
  });
  const [padA, padB] = [lead(a), lead(b)];
  const same = shapeOf(padA)
    .slice(0, -2)
    .every((size, i) => size === shapeOf(padB)[i]);
  if (!same) context.unsupported('factors with different leading dimensions');
  const swapped = [...identity.slice(0, -2), rank - 1, rank - 2];
  const transposeB = memoryOrder(padB)?.join() === swapped.join();
  const x = context.arranged(context.inFloat(padA), identity);
  const w = context.arranged(context.inFloat(padB), transposeB ? swapped : identity);
  const dims = [...shapeOf(padA).slice(0, -1), right.at(-1) ?? 1];
  const y = context.builder.temporary(context.node.outputs[0] ?? '', dims);
  context.builder.ops.push({ op: 'matMul', a: x, b: w, y, transposeB });
  return y;
}

function matMul(context: NodeContext): void {
  const weights = context.shape(1);
  if (context.constant(1) && weights.length === 2) {
    fullyConnected(context, { transposed: false, factor: 1, bias: rowBias(context, 2, weights[1] ?? 1, 1) });
    return;
  }
  context.give(context.node.outputs[0], viewOf(batched(context, context.view(0), context.view(1)), context.outputShape()));
}

const flip = (view: TensorView, wanted: boolean): TensorView => (wanted ? { ...view, axes: [...view.axes].reverse() } : view);

function gemm(context: NodeContext): void {
  const { node } = context;
  const [alpha, beta] = [floatAttribute(node, 'alpha', 1), floatAttribute(node, 'beta', 1)];
  const transA = intAttribute(node, 'transA', 0) !== 0;
  const transB = intAttribute(node, 'transB', 0) !== 0;
  const shape = context.outputShape();
  if (context.constant(1) && !transA) {
    fullyConnected(context, { transposed: transB, factor: alpha, bias: rowBias(context, 2, shape[1] ?? 1, beta) });
    return;
  }
  const { builder } = context;
  let y = batched(context, flip(context.view(0), transA), flip(context.view(1), transB));
  if (alpha !== 1) y = builder.withNumber('multiply', y, alpha);
  if (context.has(2)) {
    const c = context.view(2);
    const added = context.arranged(
      context.inFloat(c),
      c.axes.map((_, i) => i),
    );
    y = builder.binary('add', y, beta === 1 ? added : builder.withNumber('multiply', added, beta));
  }
  context.give(node.outputs[0], viewOf(y, shape));
}

export const LINEAR_RULES: LowerRules = { Gemm: gemm, MatMul: matMul };
