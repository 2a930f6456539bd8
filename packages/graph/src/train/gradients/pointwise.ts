import { unbroadcast } from '../../onnx/graph-builder.ts';
import { floatAttribute } from '../../onnx/index.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

/** A function of each value by itself; `slope` is its derivative, given the names of input and result. */
function pointwise(slope: (view: BackwardView, x: string, y: string) => string): GradientRule {
  return {
    weights: [],
    backward: (view) => [view.graph.op('Mul', [view.gradient, slope(view, view.input(0), view.node.outputs[0] ?? '')])],
  };
}

const exp = pointwise((_, __, y) => y);
const log = pointwise(({ graph }, x) => graph.op('Reciprocal', [x]));
const sqrt = pointwise(({ graph }, _, y) => graph.op('Div', [graph.scalar(0.5), y]));
const abs = pointwise(({ graph }, x) => graph.op('Sign', [x]));
const softplus = pointwise(({ graph }, x) => graph.op('Sigmoid', [x]));
const reciprocal = pointwise(({ graph }, _, y) => graph.op('Neg', [graph.op('Mul', [y, y])]));

const neg: GradientRule = { weights: [], backward: (view) => [view.graph.op('Neg', [view.gradient])] };

/** max(0, min(1, alpha x + beta)): the slope is alpha between the bounds. */
const hardSigmoid = pointwise(({ graph, node }, _, y) => {
  const inside = graph.op('Sign', [graph.op('Mul', [y, graph.op('Sub', [graph.scalar(1), y])])]);
  return graph.op('Mul', [inside, graph.scalar(floatAttribute(node, 'alpha', 0.2))]);
});

/** x max(0, min(1, x / 6 + 1 / 2)): 0 below -3, 1 above 3, x / 3 + 1 / 2 between (ONNX HardSwish-14). */
const hardSwish = pointwise(({ graph }, x) => {
  const line = graph.op('Add', [graph.op('Mul', [x, graph.scalar(1 / 3)]), graph.scalar(0.5)]);
  const risen = graph.op('Mul', [line, graph.mask('Greater', x, graph.scalar(-3))]);
  return graph.op('Where', [graph.op('Less', [x, graph.scalar(3)]), risen, graph.scalar(1)]);
});

/** Only fixed exponents: their gradient would need the logarithm of the base. */
const pow: GradientRule = {
  weights: [],
  backward: (view) => {
    const { graph } = view;
    const fixed = view.constant(1);
    if (fixed?.data.length !== 1) view.unsupported('an exponent that is not one fixed number');
    const exponent = Number(fixed?.data[0]);
    const power = exponent === 2 ? view.input(0) : graph.op('Pow', [view.input(0), graph.scalar(exponent - 1)]);
    return [graph.op('Mul', [view.gradient, graph.op('Mul', [power, graph.scalar(exponent)])])];
  },
};

/** The gradient goes to the operand that was taken; of equal ones to the second. */
function extremum(comparison: 'Greater' | 'Less'): GradientRule {
  return {
    weights: [],
    backward: (view) => {
      const { graph, node, gradient } = view;
      if (node.inputs.length === 1) return [gradient];
      if (node.inputs.length > 2) view.unsupported('more than two operands');
      const [a, b] = [view.input(0), view.input(1)];
      const whole = view.shape(node.outputs[0] ?? '');
      const toFirst = graph.op('Mul', [gradient, graph.mask(comparison, a, b)]);
      const toSecond = () => graph.op('Sub', [gradient, toFirst]);
      return [
        view.needs(0) ? unbroadcast(graph, toFirst, whole, view.shape(a)) : undefined,
        view.needs(1) ? unbroadcast(graph, toSecond(), whole, view.shape(b)) : undefined,
      ];
    },
  };
}

export const POINTWISE_GRADIENTS: GradientRules = {
  Exp: exp,
  Log: log,
  Sqrt: sqrt,
  Abs: abs,
  Neg: neg,
  Reciprocal: reciprocal,
  Softplus: softplus,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Pow: pow,
  Max: extremum('Greater'),
  Min: extremum('Less'),
};
