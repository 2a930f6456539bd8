import { unbroadcast } from '../../onnx/graph-builder.ts';
import { attribute, floatAttribute, intAttribute } from '../../onnx/index.ts';
import type { BackwardView, GradientRule, GradientRules } from './rule.ts';

/** alpha * a' b', each transposed when asked. */
function product(view: BackwardView, a: string, transA: boolean, b: string, transB: boolean, alpha: number): string {
  return view.graph.op('Gemm', [a, b], {
    alpha: attribute.float(alpha),
    transA: attribute.int(transA ? 1 : 0),
    transB: attribute.int(transB ? 1 : 0),
  });
}

const gemm: GradientRule = {
  weights: [0, 1, 2],
  backward: (view) => {
    const { node, gradient: dy } = view;
    const alpha = floatAttribute(node, 'alpha', 1);
    const beta = floatAttribute(node, 'beta', 1);
    const transA = intAttribute(node, 'transA', 0) !== 0;
    const transB = intAttribute(node, 'transB', 0) !== 0;
    const [a, b] = [view.input(0), view.input(1)];
    // Y = A'B': dA' = dY B'^T and dB' = A'^T dY; a transposed operand swaps the factors.
    const byA = () => (transA ? product(view, b, transB, dy, true, alpha) : product(view, dy, false, b, !transB, alpha));
    const byB = () => (transB ? product(view, dy, true, a, transA, alpha) : product(view, a, !transA, dy, false, alpha));
    const byC = () => {
      const sum = unbroadcast(view.graph, dy, view.shape(node.outputs[0] ?? ''), view.shape(view.input(2)));
      return beta === 1 ? sum : view.graph.op('Mul', [sum, view.graph.scalar(beta)]);
    };
    return [view.needs(0) ? byA() : undefined, view.needs(1) ? byB() : undefined, view.needs(2) ? byC() : undefined];
  },
};

function swapLast(view: BackwardView, value: string): string {
  const rank = view.shape(value).length;
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  perm.splice(rank - 2, 2, rank - 1, rank - 2);
  return view.graph.transpose(value, perm);
}

const matMul: GradientRule = {
  weights: [0, 1],
  backward: (view) => {
    const { graph, gradient: dy } = view;
    const [a, b] = [view.input(0), view.input(1)];
    const [shapeA, shapeB] = [view.shape(a), view.shape(b)];
    if (shapeA.length === 2 && shapeB.length === 2) {
      return [
        view.needs(0) ? product(view, dy, false, b, true, 1) : undefined,
        view.needs(1) ? product(view, a, true, dy, false, 1) : undefined,
      ];
    }
    const batch = view.shape(view.node.outputs[0] ?? '').slice(0, -2);
    const reduce = (value: string, to: readonly number[]) => unbroadcast(graph, value, [...batch, ...to.slice(-2)], to);
    return [
      view.needs(0) ? reduce(graph.op('MatMul', [dy, swapLast(view, b)]), shapeA) : undefined,
      view.needs(1) ? reduce(graph.op('MatMul', [swapLast(view, a), dy]), shapeB) : undefined,
    ];
  },
};

export const LINEAR_GRADIENTS: GradientRules = { Gemm: gemm, MatMul: matMul };
