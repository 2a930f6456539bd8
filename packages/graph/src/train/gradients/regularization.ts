import { attribute, elementCount, floatAttribute } from '../../onnx/index.ts';
import { type BackwardView, type GradientRule, type GradientRules, type NodeView, savedValue } from './rule.ts';

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

const trainsNormalization = (view: NodeView): boolean => view.needs(1) || view.needs(2);

/**
 * In training the batch's own statistics are used, and the running ones follow them (ONNX BatchNormalization-15,
 * training_mode 1). One whose weights are both kept as they are stays as in use: statistics that moved would change the layers
 * after it, which may be fixed as well.
 */
const batchNormalization: GradientRule = {
  weights: [1, 2],
  forward: (view) => {
    const { graph, node } = view;
    if (!trainsNormalization(view)) {
      graph.nodes.push({ ...node, outputs: node.outputs.slice(0, 1) });
      return {};
    }
    const x = view.input(0);
    const [channels = 0, rank] = [view.shape(x)[1], view.shape(x).length];
    const axes = batchAxes(rank);
    const epsilon = floatAttribute(node, 'epsilon', 1e-5);
    const mean = graph.mean(x, axes, true);
    const centred = graph.op('Sub', [x, mean]);
    const variance = graph.mean(graph.op('Mul', [centred, centred]), axes, true);
    const [flatMean, flatVariance] = [graph.reshape(mean, [channels]), graph.reshape(variance, [channels])];
    // The operator in its form for use does scale and shift in one pass.
    graph.opInto('BatchNormalization', [x, view.input(1), view.input(2), flatMean, flatVariance], node.outputs.slice(0, 1), {
      epsilon: attribute.float(epsilon),
    });
    const keep = floatAttribute(node, 'momentum', 0.9);
    const follow = (running: string, now: string): string =>
      graph.op('Add', [graph.op('Mul', [running, graph.scalar(keep)]), graph.op('Mul', [now, graph.scalar(1 - keep)])]);
    view.updateStatistic(view.input(3), follow(view.input(3), flatMean));
    view.updateStatistic(view.input(4), follow(view.input(4), flatVariance));
    const inverse = graph.op('Reciprocal', [graph.op('Sqrt', [graph.op('Add', [variance, graph.scalar(epsilon)])])]);
    return { centred, inverse };
  },
  backward: (view) => (trainsNormalization(view) ? byBatchStatistics(view) : byRunningStatistics(view)),
};

/** With n = (x - mean) * inverse: dx = scale * inverse * (dy - mean(dy) - n mean(dy n)), dscale = sum(dy n), dbias = sum(dy). */
function byBatchStatistics(view: BackwardView): (string | undefined)[] {
  const { graph, gradient: dy } = view;
  const shape = view.shape(view.input(0));
  const axes = batchAxes(shape.length);
  const channels = shape[1] ?? 0;
  const [centred, inverse] = [savedValue(view, 'centred'), savedValue(view, 'inverse')];
  const share = graph.scalar(channels / elementCount(shape));
  const sum = graph.sum(dy, axes, true);
  const along = graph.op('Mul', [graph.sum(graph.op('Mul', [dy, centred]), axes, true), inverse]);
  const byInput = () => {
    const scale = graph.reshape(view.input(1), perChannel(channels, shape.length));
    const factor = graph.op('Mul', [scale, inverse]);
    const slope = graph.op('Mul', [graph.op('Mul', [along, share]), inverse]);
    const rest = graph.op('Sub', [dy, graph.op('Mul', [centred, slope])]);
    return graph.op('Mul', [graph.op('Sub', [rest, graph.op('Mul', [sum, share])]), factor]);
  };
  return [
    view.needs(0) ? byInput() : undefined,
    view.needs(1) ? graph.reshape(along, [channels]) : undefined,
    view.needs(2) ? graph.reshape(sum, [channels]) : undefined,
  ];
}

function byRunningStatistics(view: BackwardView): (string | undefined)[] {
  const { graph } = view;
  const shape = view.shape(view.input(0));
  const epsilon = graph.scalar(floatAttribute(view.node, 'epsilon', 1e-5));
  const deviation = graph.op('Sqrt', [graph.op('Add', [view.input(4), epsilon])]);
  const factor = graph.reshape(graph.op('Div', [view.input(1), deviation]), perChannel(shape[1] ?? 0, shape.length));
  return [graph.op('Mul', [view.gradient, factor])];
}

export const REGULARIZATION_GRADIENTS: GradientRules = { Dropout: dropout, BatchNormalization: batchNormalization };
