import { intAttribute } from '../../onnx/index.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

/** Sum along the node's axis, which stays with size 1. */
function along(view: BackwardView, value: string): string {
  return view.graph.sum(value, [intAttribute(view.node, 'axis', -1)], true);
}

const softmax: GradientRule = {
  weights: [],
  backward: (view) => {
    const { graph, gradient: dy } = view;
    const y = view.node.outputs[0] ?? '';
    const weighted = along(view, graph.op('Mul', [dy, y]));
    return [graph.op('Mul', [y, graph.op('Sub', [dy, weighted])])];
  },
};

const logSoftmax: GradientRule = {
  weights: [],
  backward: (view) => {
    const { graph, gradient: dy } = view;
    const probabilities = graph.op('Exp', [view.node.outputs[0] ?? '']);
    return [graph.op('Sub', [dy, graph.op('Mul', [probabilities, along(view, dy)])])];
  },
};

export const SOFTMAX_GRADIENTS: GradientRules = { Softmax: softmax, LogSoftmax: logSoftmax };
