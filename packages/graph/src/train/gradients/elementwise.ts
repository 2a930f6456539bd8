import { unbroadcast } from '../../onnx/graph-builder.ts';
import { attribute, floatAttribute } from '../../onnx/index.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

/** Gradient by the operand at `index`, given that by its broadcast form. */
function operand(view: BackwardView, index: number, make: () => string): string | undefined {
  if (!view.needs(index)) return undefined;
  return unbroadcast(view.graph, make(), view.shape(view.node.outputs[0] ?? ''), view.shape(view.input(index)));
}

const add: GradientRule = {
  weights: [0, 1],
  backward: (view) => [operand(view, 0, () => view.gradient), operand(view, 1, () => view.gradient)],
};

const sub: GradientRule = {
  weights: [0, 1],
  backward: (view) => [operand(view, 0, () => view.gradient), operand(view, 1, () => view.graph.op('Neg', [view.gradient]))],
};

const mul: GradientRule = {
  weights: [0, 1],
  backward: (view) => [
    operand(view, 0, () => view.graph.op('Mul', [view.gradient, view.input(1)])),
    operand(view, 1, () => view.graph.op('Mul', [view.gradient, view.input(0)])),
  ],
};

const div: GradientRule = {
  weights: [0, 1],
  backward: (view) => {
    const byFirst = view.graph.op('Div', [view.gradient, view.input(1)]);
    const quotient = view.node.outputs[0] ?? '';
    return [operand(view, 0, () => byFirst), operand(view, 1, () => view.graph.op('Neg', [view.graph.op('Mul', [byFirst, quotient])]))];
  },
};

const relu: GradientRule = {
  weights: [],
  // The sign of relu's result is 0 or 1: one pass less than a comparison and a cast.
  backward: (view) => [view.graph.op('Mul', [view.gradient, view.graph.op('Sign', [view.node.outputs[0] ?? ''])])],
};

const leakyRelu: GradientRule = {
  weights: [],
  backward: ({ graph, node, gradient, input }) => {
    const alpha = floatAttribute(node, 'alpha', 0.01);
    const positive = graph.mask('Greater', input(0), graph.scalar(0));
    const slope = graph.op('Add', [graph.op('Mul', [positive, graph.scalar(1 - alpha)]), graph.scalar(alpha)]);
    return [graph.op('Mul', [gradient, slope])];
  },
};

const sigmoid: GradientRule = {
  weights: [],
  backward: ({ graph, node, gradient }) => {
    const y = node.outputs[0] ?? '';
    return [graph.op('Mul', [gradient, graph.op('Mul', [y, graph.op('Sub', [graph.scalar(1), y])])])];
  },
};

const tanh: GradientRule = {
  weights: [],
  backward: ({ graph, node, gradient }) => {
    const y = node.outputs[0] ?? '';
    return [graph.op('Mul', [gradient, graph.op('Sub', [graph.scalar(1), graph.op('Mul', [y, y])])])];
  },
};

const clip: GradientRule = {
  weights: [],
  // What clipping left as it was has slope 1.
  backward: ({ graph, node, gradient, input }) => {
    const kept = graph.op('Equal', [input(0), node.outputs[0] ?? '']);
    return [graph.op('Mul', [gradient, graph.op('Cast', [kept], { to: attribute.int(1) })])];
  },
};

const identity: GradientRule = { weights: [0], backward: (view) => [view.gradient] };

export const ELEMENTWISE_GRADIENTS: GradientRules = {
  Add: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Relu: relu,
  LeakyRelu: leakyRelu,
  Sigmoid: sigmoid,
  Tanh: tanh,
  Clip: clip,
  Identity: identity,
};
