import type { GraphBuilder } from '../../onnx/graph-builder.ts';
import { elementCount } from '../../onnx/index.ts';
import type { LossHead } from './loss.ts';

const everyAxis = (shape: readonly number[]): number[] => shape.map((_, axis) => axis);

const labels: LossHead['labels'] = (shape) => ({ type: 'float32', dims: shape });

/** (z - y)^2. */
export const MEAN_SQUARED_ERROR: LossHead = {
  contains: [],
  labels,
  emit: (graph: GraphBuilder, z, y, shape) => {
    const difference = graph.op('Sub', [z, y]);
    return {
      loss: graph.mean(graph.op('Mul', [difference, difference]), everyAxis(shape)),
      gradient: graph.op('Mul', [difference, graph.scalar(2 / elementCount(shape))]),
    };
  },
};

/** max(z, 0) - z y + log(1 + exp(-|z|)): the form that does not overflow. */
export const BINARY_CROSS_ENTROPY: LossHead = {
  contains: ['Sigmoid'],
  labels,
  emit: (graph: GraphBuilder, z, y, shape) => {
    const decay = graph.op('Exp', [graph.op('Neg', [graph.op('Abs', [z])])]);
    const logTerm = graph.op('Log', [graph.op('Add', [decay, graph.scalar(1)])]);
    const linear = graph.op('Sub', [graph.op('Relu', [z]), graph.op('Mul', [z, y])]);
    return {
      loss: graph.mean(graph.op('Add', [linear, logTerm]), everyAxis(shape)),
      gradient: graph.op('Mul', [graph.op('Sub', [graph.op('Sigmoid', [z]), y]), graph.scalar(1 / elementCount(shape))]),
    };
  },
};
