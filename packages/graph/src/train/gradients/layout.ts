import { attribute, intAttribute, intsAttribute } from '../../onnx/index.ts';
import type { GradientRule, GradientRules } from './rule.ts';

/** Flatten and Reshape: the same values in the old shape. */
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

export const LAYOUT_GRADIENTS: GradientRules = { Flatten: reshape, Reshape: reshape, Transpose: transpose, Concat: concat };
