import { floatAttribute } from '../../onnx/index.ts';
import { type GradientRule, type GradientRules, savedValue } from './rule.ts';

const DEFAULT_DROPOUT_RATIO = 0.5;

const dropout: GradientRule = {
  weights: [],
  forward: (view) => {
    const fixed = view.constant(1);
    if (!fixed && view.node.inputs[1]) view.unsupported('a ratio that is computed while the model runs');
    const ratio = fixed ? Number(fixed.data[0]) : DEFAULT_DROPOUT_RATIO;
    if (!(ratio >= 0 && ratio < 1)) view.unsupported(`a ratio of ${ratio}`);
    const mask = view.dropoutMask(view.shape(view.input(0)), ratio);
    view.graph.opInto('Mul', [view.input(0), mask], view.node.outputs.slice(0, 1));
    return { mask };
  },
  backward: (view) => [view.graph.op('Mul', [view.gradient, savedValue(view, 'mask')])],
};

/** Axes that batch normalization averages over: all but the channels. */
function batchAxes(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
}

const perChannel = (channels: number, rank: number): number[] => Array.from({ length: rank }, (_, axis) => (axis === 1 ? channels : 1));

/** In training the batch's own statistics are used, and the running ones follow them (ONNX BatchNormalization-15, training_mode 1). */
const batchNormalization: GradientRule = {
  weights: [1, 2],
  forward: (view) => {
    const { graph, node } = view;
    const x = view.input(0);
    const [channels = 0, rank] = [view.shape(x)[1], view.shape(x).length];
    const axes = batchAxes(rank);
    const mean = graph.mean(x, axes, true);
    const centred = graph.op('Sub', [x, mean]);
    const variance = graph.mean(graph.op('Mul', [centred, centred]), axes, true);
    const deviation = graph.op('Sqrt', [graph.op('Add', [variance, graph.scalar(floatAttribute(node, 'epsilon', 1e-5))])]);
    const inverse = graph.op('Reciprocal', [deviation]);
    const normal = graph.op('Mul', [centred, inverse]);
    const scale = graph.reshape(view.input(1), perChannel(channels, rank));
    const bias = graph.reshape(view.input(2), perChannel(channels, rank));
    graph.opInto('Add', [graph.op('Mul', [normal, scale]), bias], node.outputs.slice(0, 1));
    const keep = floatAttribute(node, 'momentum', 0.9);
    const follow = (running: string, now: string): string =>
      graph.op('Add', [
        graph.op('Mul', [running, graph.scalar(keep)]),
        graph.op('Mul', [graph.reshape(now, [channels]), graph.scalar(1 - keep)]),
      ]);
    view.updateStatistic(view.input(3), follow(view.input(3), mean));
    view.updateStatistic(view.input(4), follow(view.input(4), variance));
    return { normal, factor: graph.op('Mul', [scale, inverse]) };
  },
  backward: (view) => {
    const { graph, gradient: dy } = view;
    const x = view.input(0);
    const axes = batchAxes(view.shape(x).length);
    const normal = savedValue(view, 'normal');
    const weighted = graph.op('Mul', [dy, normal]);
    const byInput = () => {
      const along = graph.op('Mul', [normal, graph.mean(weighted, axes, true)]);
      const centred = graph.op('Sub', [graph.op('Sub', [dy, graph.mean(dy, axes, true)]), along]);
      return graph.op('Mul', [centred, savedValue(view, 'factor')]);
    };
    return [
      view.needs(0) ? byInput() : undefined,
      view.needs(1) ? graph.sum(weighted, axes) : undefined,
      view.needs(2) ? graph.sum(dy, axes) : undefined,
    ];
  },
};

export const REGULARIZATION_GRADIENTS: GradientRules = { Dropout: dropout, BatchNormalization: batchNormalization };
