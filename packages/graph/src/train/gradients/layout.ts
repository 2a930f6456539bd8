import { attribute, elementCount, float32Tensor, intAttribute, intsAttribute, OPSET } from '../../onnx/index.ts';
import { axesOperand, type OperandSource, padEdges, sliceRanges } from '../../onnx/shapes/operands.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

/** Flatten, Reshape, Squeeze and Unsqueeze: the same values in the old shape. */
const reshape: GradientRule = {
  weights: [0],
  backward: (view) => [view.graph.reshape(view.gradient, view.shape(view.input(0)))],
};

const transpose: GradientRule = {
  weights: [0],
  backward: ({ graph, node, gradient, shape, input }) => {
    const rank = shape(input(0)).length;
    const perm = intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    return [
      graph.transpose(
        gradient,
        Array.from({ length: rank }, (_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
};

const concat: GradientRule = {
  weights: [],
  backward: ({ graph, node, gradient, shape, input, needs }) => {
    const axis = intAttribute(node, 'axis', 0);
    const sizes = node.inputs.map((_, i) => shape(input(i)).at(axis) ?? 0);
    const parts = node.inputs.map(() => graph.freshName('part'));
    graph.opInto('Split', [gradient, graph.ints(sizes)], parts, { axis: attribute.int(axis) });
    return parts.map((part, i) => (needs(i) ? part : undefined));
  },
};

const operands = ({ node, constant }: BackwardView): OperandSource => ({ node, opset: OPSET, constant });

/** What was cut off has no gradient: zeros around that of the rest. */
const slice: GradientRule = {
  weights: [0],
  backward: (view) => {
    const whole = view.shape(view.input(0));
    const ranges = sliceRanges(operands(view), whole);
    if (typeof ranges === 'string') return view.unsupported(ranges);
    if ([...ranges.values()].some(({ step }) => step !== 1)) view.unsupported('a step other than 1');
    const before = whole.map((_, axis) => ranges.get(axis)?.start ?? 0);
    const after = whole.map((size, axis) => size - (before[axis] ?? 0) - (ranges.get(axis)?.size ?? size));
    return [view.graph.op('Pad', [view.gradient, view.graph.ints([...before, ...after])])];
  },
};

/** Pads of a constant are cut off again. */
const pad: GradientRule = {
  weights: [0],
  backward: (view) => {
    const mode = view.node.attributes.mode;
    if (mode?.kind === 'string' && mode.value !== 'constant') view.unsupported(`mode ${mode.value}`);
    const whole = view.shape(view.input(0));
    const edges = padEdges(operands(view), whole.length);
    if (typeof edges === 'string') return view.unsupported(edges);
    if ([...edges.before, ...edges.after].some((size) => size < 0)) view.unsupported('pads that cut');
    const ends = whole.map((size, axis) => size + (edges.before[axis] ?? 0));
    return [view.graph.op('Slice', [view.gradient, view.graph.ints(edges.before), view.graph.ints(ends)])];
  },
};

/** Each value gets the gradient of its sum, or its share of that of its mean. */
function reduction(mean: boolean): GradientRule {
  return {
    weights: [],
    backward: (view) => {
      const { graph } = view;
      const whole = view.shape(view.input(0));
      const given = axesOperand(operands(view), whole.length);
      if (typeof given === 'string') return view.unsupported(given);
      if (given === null && intAttribute(view.node, 'noop_with_empty_axes', 0) !== 0) return [view.gradient];
      const axes = given ?? whole.map((_, axis) => axis);
      const kept = graph.reshape(
        view.gradient,
        whole.map((size, axis) => (axes.includes(axis) ? 1 : size)),
      );
      const factor = mean ? 1 / elementCount(axes.map((axis) => whole[axis] ?? 1)) : 1;
      const share = factor === 1 ? kept : graph.op('Mul', [kept, graph.scalar(factor)]);
      return [graph.op('Expand', [share, graph.ints(whole)])];
    },
  };
}

/** Nearest-neighbour enlargement by whole factors: each pixel gets the sum over its copies. */
const resize: GradientRule = {
  weights: [],
  backward: (view) => {
    const { graph, node } = view;
    const [from, to] = [view.shape(view.input(0)), view.shape(node.outputs[0] ?? '')];
    const mode = node.attributes.mode;
    const [, , ...factors] = to.map((size, axis) => size / (from[axis] ?? 1));
    const whole = factors.length > 0 && factors.every((factor) => Number.isInteger(factor)) && from[0] === to[0] && from[1] === to[1];
    if ((mode?.kind === 'string' && mode.value !== 'nearest') || !whole) view.unsupported('only nearest by whole factors can be trained');
    const channels = from[1] ?? 0;
    // A convolution with ones, as far apart as the kernel is wide, sums over each block.
    const ones = graph.constant(float32Tensor([channels, 1, ...factors], new Float32Array(channels * elementCount(factors)).fill(1)));
    const attributes = { kernel_shape: attribute.ints(factors), strides: attribute.ints(factors), group: attribute.int(channels) };
    return [graph.op('Conv', [view.gradient, ones], attributes)];
  },
};

export const LAYOUT_GRADIENTS: GradientRules = {
  Flatten: reshape,
  Reshape: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Pad: pad,
  Resize: resize,
  ReduceSum: reduction(false),
  ReduceMean: reduction(true),
};
