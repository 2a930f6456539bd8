import { attribute, elementCount, float32Tensor } from '../onnx/index.ts';
import type { GraphBuilder } from './graph-builder.ts';

/** What training makes small; each is the mean over the batch (and over all outputs for `mse` and `bce-with-logits`). */
export type Loss = 'cross-entropy' | 'mse' | 'bce-with-logits';

export interface LossValues {
  /** Scalar. */
  readonly loss: string;
  /** Gradient of the loss by the network's output. */
  readonly gradient: string;
}

/** -log softmax(z)[y], with integer labels y of shape [N]. */
function crossEntropy(graph: GraphBuilder, z: string, y: string, [batch = 1, classes = 1]: readonly number[]): LossValues {
  const values = graph.constant(float32Tensor([2], Float32Array.of(0, 1)));
  const target = graph.op('OneHot', [y, graph.ints([classes]), values], { axis: attribute.int(-1) });
  const logProbabilities = graph.op('LogSoftmax', [z], { axis: attribute.int(-1) });
  const total = graph.sum(graph.op('Mul', [logProbabilities, target]), [0, 1]);
  return {
    loss: graph.op('Mul', [total, graph.scalar(-1 / batch)]),
    gradient: graph.op('Mul', [graph.op('Sub', [graph.op('Exp', [logProbabilities]), target]), graph.scalar(1 / batch)]),
  };
}

/** (z - y)^2. */
function meanSquaredError(graph: GraphBuilder, z: string, y: string, shape: readonly number[]): LossValues {
  const difference = graph.op('Sub', [z, y]);
  return {
    loss: graph.mean(
      graph.op('Mul', [difference, difference]),
      shape.map((_, axis) => axis),
    ),
    gradient: graph.op('Mul', [difference, graph.scalar(2 / elementCount(shape))]),
  };
}

/** max(z, 0) - z y + log(1 + exp(-|z|)): the form that does not overflow. */
function binaryCrossEntropy(graph: GraphBuilder, z: string, y: string, shape: readonly number[]): LossValues {
  const decay = graph.op('Exp', [graph.op('Neg', [graph.op('Abs', [z])])]);
  const logTerm = graph.op('Log', [graph.op('Add', [decay, graph.scalar(1)])]);
  const linear = graph.op('Sub', [graph.op('Relu', [z]), graph.op('Mul', [z, y])]);
  return {
    loss: graph.mean(
      graph.op('Add', [linear, logTerm]),
      shape.map((_, axis) => axis),
    ),
    gradient: graph.op('Mul', [graph.op('Sub', [graph.op('Sigmoid', [z]), y]), graph.scalar(1 / elementCount(shape))]),
  };
}

const LOSSES = { 'cross-entropy': crossEntropy, mse: meanSquaredError, 'bce-with-logits': binaryCrossEntropy } as const;

/**
 * Emits the loss and its gradient.
 *
 * @param z - the network's output, of shape `shape`.
 * @param y - what it should be: int64 [N] for cross-entropy, else float32 of the same shape.
 */
export function emitLoss(kind: Loss, graph: GraphBuilder, z: string, y: string, shape: readonly number[]): LossValues {
  return LOSSES[kind](graph, z, y, shape);
}
