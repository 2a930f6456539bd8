import { AppError } from '@selvedge/contract';
import type { GraphBuilder } from '../../onnx/graph-builder.ts';
import { attribute, float32Tensor } from '../../onnx/index.ts';
import type { CrossEntropyLoss, LossHead, LossValues } from './loss.ts';

/** The shape [N, classes] of scores. */
export function scoresShape(loss: string, shape: readonly number[]): { batch: number; classes: number } {
  const [batch = 0, classes = 0] = shape;
  if (shape.length !== 2)
    throw new AppError('SHAPE_MISMATCH', { message: `${loss} needs an output [N, classes]; the model gives [${shape.join(', ')}].` });
  return { batch, classes };
}

/** 1 (or `on`) where a row's label is, else 0, of shape [N, classes]. */
export function oneHot(graph: GraphBuilder, y: string, classes: number, on = 1, off = 0): string {
  const values = graph.constant(float32Tensor([2], Float32Array.of(off, on)));
  return graph.op('OneHot', [y, graph.ints([classes]), values], { axis: attribute.int(-1) });
}

/** Mean of -log softmax(z)[y] over the batch. */
export function emitPlain(graph: GraphBuilder, z: string, y: string, { batch, classes }: { batch: number; classes: number }): LossValues {
  const target = oneHot(graph, y, classes);
  const logProbabilities = graph.op('LogSoftmax', [z], { axis: attribute.int(-1) });
  const total = graph.sum(graph.op('Mul', [logProbabilities, target]), [0, 1]);
  return {
    loss: graph.op('Mul', [total, graph.scalar(-1 / batch)]),
    gradient: graph.op('Mul', [graph.op('Sub', [graph.op('Exp', [logProbabilities]), target]), graph.scalar(1 / batch)]),
  };
}

/** As PyTorch's CrossEntropyLoss(weight, label_smoothing): sum(-t_c w_c log p_c) over the sum of the labels' weights. */
function emitWeighted(graph: GraphBuilder, z: string, y: string, classes: number, weights: Float32Array, smoothing: number): LossValues {
  const factors = graph.constant(float32Tensor([1, classes], weights));
  const even = smoothing / classes;
  const target = graph.op('Mul', [oneHot(graph, y, classes, 1 - smoothing + even, even), factors]);
  const total = graph.sum(graph.op('Mul', [oneHot(graph, y, classes), factors]), [0, 1]);
  const logProbabilities = graph.op('LogSoftmax', [z], { axis: attribute.int(-1) });
  const loss = graph.op('Neg', [graph.sum(graph.op('Mul', [logProbabilities, target]), [0, 1])]);
  const rise = graph.op('Mul', [graph.op('Exp', [logProbabilities]), graph.sum(target, [1], true)]);
  return {
    loss: graph.op('Div', [loss, total]),
    gradient: graph.op('Div', [graph.op('Sub', [rise, target]), total]),
  };
}

export function crossEntropyHead({ classWeights, labelSmoothing = 0 }: Omit<CrossEntropyLoss, 'kind'>): LossHead {
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new AppError('INPUT_INVALID', { message: `Label smoothing is from 0 to below 1, not ${labelSmoothing}.` });
  if (classWeights?.some((weight) => !(weight > 0 && Number.isFinite(weight))))
    throw new AppError('INPUT_INVALID', { message: `Class weights must be positive numbers; given: ${classWeights.join(', ')}.` });
  return {
    contains: ['Softmax', 'LogSoftmax'],
    labels: (shape) => {
      const { batch, classes } = scoresShape('cross-entropy', shape);
      if (classWeights && classWeights.length !== classes)
        throw new AppError('INPUT_INVALID', { message: `There are ${classWeights.length} class weights for ${classes} classes.` });
      return { type: 'int64', dims: [batch], classes };
    },
    emit: (graph, z, y, shape) => {
      const scores = scoresShape('cross-entropy', shape);
      if (!classWeights && labelSmoothing === 0) return emitPlain(graph, z, y, scores);
      const weights = Float32Array.from({ length: scores.classes }, (_, c) => classWeights?.[c] ?? 1);
      return emitWeighted(graph, z, y, scores.classes, weights, labelSmoothing);
    },
  };
}
