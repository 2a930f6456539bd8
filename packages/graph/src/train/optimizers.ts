import type { Hyperparams } from '@selvedge/contract';
import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { feedName } from './feeds.ts';

/**
 * How weights follow their gradients. Weight decay reaches every weight, biases included: added to the gradient for sgd
 * and adam (L2), taken from the weight itself for adamw (decoupled; Loshchilov and Hutter 2019).
 */
export type OptimizerSpec =
  | { readonly kind: 'sgd'; readonly momentum: number; readonly weightDecay: number }
  | {
      readonly kind: 'adam' | 'adamw';
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly weightDecay: number;
    };

/** The optimiser that a pipeline's hyperparameters ask for, with the contract's defaults; `adam` when they name none. */
export function optimizerFrom(hyperparams: Pick<Hyperparams, 'optimizer' | 'momentum' | 'weight_decay'>): OptimizerSpec {
  const kind = hyperparams.optimizer ?? 'adam';
  if (kind === 'sgd') return { kind, momentum: hyperparams.momentum ?? 0.9, weightDecay: hyperparams.weight_decay ?? 0 };
  const weightDecay = hyperparams.weight_decay ?? (kind === 'adamw' ? 0.01 : 0);
  return { kind, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay };
}

/** Names of the vectors, as long as all weights together, that the optimiser keeps from step to step. */
export function optimizerState(spec: OptimizerSpec): readonly string[] {
  return spec.kind === 'sgd' ? ['velocity'] : ['moment1', 'moment2'];
}

/** Numbers that change from step to step and are fed: `rate` is the step size, `correction2` Adam's 1 / (1 - beta2^t). */
export function stepScalars(spec: OptimizerSpec, lr: number, stepsDone: number): Record<string, number> {
  if (spec.kind === 'sgd') return { rate: lr };
  const t = stepsDone + 1;
  return {
    rate: lr / (1 - spec.beta1 ** t),
    correction2: 1 / (1 - spec.beta2 ** t),
    ...(spec.kind === 'adamw' ? { shrink: 1 - lr * spec.weightDecay } : {}),
  };
}

/** The new weights and the new state, in the order of `optimizerState`. */
export interface OptimizerValues {
  readonly weights: string;
  readonly state: readonly string[];
}

/** Emits one step on all weights at once, given as one vector. */
export function emitOptimizer(spec: OptimizerSpec, graph: GraphBuilder, weights: string, gradient: string): OptimizerValues {
  const times = (value: string, factor: number) => graph.op('Mul', [value, graph.scalar(factor)]);
  const plus = (a: string, b: string) => graph.op('Add', [a, b]);
  const coupled = spec.kind !== 'adamw' && spec.weightDecay !== 0;
  const g = coupled ? plus(gradient, times(weights, spec.weightDecay)) : gradient;
  if (spec.kind === 'sgd') {
    const velocity = plus(times(feedName('velocity'), spec.momentum), g);
    return { weights: graph.op('Sub', [weights, graph.op('Mul', [velocity, feedName('rate')])]), state: [velocity] };
  }
  const moment1 = plus(times(feedName('moment1'), spec.beta1), times(g, 1 - spec.beta1));
  const moment2 = plus(times(feedName('moment2'), spec.beta2), times(graph.op('Mul', [g, g]), 1 - spec.beta2));
  const root = graph.op('Sqrt', [graph.op('Mul', [moment2, feedName('correction2')])]);
  const change = graph.op('Div', [graph.op('Mul', [moment1, feedName('rate')]), plus(root, graph.scalar(spec.epsilon))]);
  const kept = spec.kind === 'adamw' ? graph.op('Mul', [weights, feedName('shrink')]) : weights;
  return { weights: graph.op('Sub', [kept, change]), state: [moment1, moment2] };
}
