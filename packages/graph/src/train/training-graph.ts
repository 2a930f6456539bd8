import { AppError } from '@selvedge/contract';
import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { attribute, type DataType, IR_VERSION, type Model, OPSET, type TensorData, type ValueInfo } from '../onnx/index.ts';
import { TrainingGraphEmitter } from './emitter.ts';
import { type DropoutMask, FEED, feedName, next, RESERVED, type Slot, slotsLength } from './feeds.ts';
import { type LabelsInfo, type LossHead, type LossSpec, lossHead } from './losses/index.ts';
import { emitOptimizer, type OptimizerSpec, optimizerState, stepScalars } from './optimizers.ts';

/** A training step as a model, and what its feeds mean. */
export interface TrainingGraph {
  readonly model: Model;
  /** Name of the network's input, and its shape with the batch. */
  readonly input: { readonly name: string; readonly dims: readonly number[] };
  readonly labels: LabelsInfo;
  /** The first values of all weights, those of the loss included. */
  readonly initializers: ReadonlyMap<string, TensorData>;
  readonly weights: readonly Slot[];
  readonly statistics: readonly Slot[];
  readonly masks: readonly DropoutMask[];
}

export interface TrainingGraphOptions {
  readonly loss: LossSpec;
  readonly optimizer: OptimizerSpec;
  readonly batchSize: number;
  readonly trainable?: readonly string[] | undefined;
  readonly clipNorm?: number | undefined;
}

const info = (name: string, type: DataType, shape: readonly number[]): ValueInfo => ({ name, type, shape });

/** The values of one step as they are fed, in the order of the model's inputs. */
function inputsOf(emitter: TrainingGraphEmitter, input: string, labels: LabelsInfo, options: TrainingGraphOptions): ValueInfo[] {
  const count = slotsLength(emitter.weights);
  const statistics = slotsLength(emitter.statistics);
  return [
    info(input, 'float32', emitter.shapeOf(input)),
    info(FEED.labels, labels.type, labels.dims),
    info(FEED.weights, 'float32', [count]),
    ...optimizerState(options.optimizer).map((name) => info(feedName(name), 'float32', [count])),
    ...Object.keys(stepScalars(options.optimizer, 0, 0)).map((name) => info(feedName(name), 'float32', [])),
    ...(statistics > 0 ? [info(FEED.statistics, 'float32', [statistics])] : []),
    ...emitter.masks.map((mask) => info(mask.name, 'float32', mask.dims)),
  ];
}

/** A gradient longer than `clipNorm` keeps its direction and gets that length (Pascanu et al. 2013). */
function clipped(graph: GraphBuilder, gradient: string, clipNorm: number): string {
  const length = graph.op('ReduceL2', [gradient], { keepdims: attribute.int(0) });
  const factor = graph.op('Min', [graph.op('Div', [graph.scalar(clipNorm), length]), graph.scalar(1)]);
  return graph.op('Mul', [gradient, factor]);
}

/** Emits everything after the forward pass and names the results. */
function emitStep(emitter: TrainingGraphEmitter, head: LossHead, options: TrainingGraphOptions): ValueInfo[] {
  const { graph } = emitter;
  const { loss, gradient: byOutput } = head.emit(graph, emitter.output, FEED.labels, emitter.shapeOf(emitter.output));
  const whole = emitter.backward(byOutput);
  const gradient = options.clipNorm === undefined ? whole : clipped(graph, whole, options.clipNorm);
  const updated = emitOptimizer(options.optimizer, graph, FEED.weights, gradient);
  const count = slotsLength(emitter.weights);
  const results: ValueInfo[] = [];
  const give = (name: string, from: string, dims: readonly number[]): void => {
    graph.opInto('Identity', [from], [name]);
    results.push(info(name, 'float32', dims));
  };
  give('loss', loss, []);
  give(next(FEED.weights), updated.weights, [count]);
  for (const [i, name] of optimizerState(options.optimizer).entries()) give(next(feedName(name)), updated.state[i] ?? '', [count]);
  const statistics = slotsLength(emitter.statistics);
  if (statistics > 0) give(next(FEED.statistics), emitter.statisticsAfter(), [statistics]);
  return results;
}

function refuseReservedNames({ graph }: Model): void {
  const names = [...graph.inputs.map(({ name }) => name), ...graph.initializers.keys(), ...graph.nodes.flatMap((node) => node.outputs)];
  const name = names.find((each) => each.startsWith(RESERVED));
  if (name === undefined) return;
  throw new AppError('MODEL_INVALID', {
    message: `The value "${name}" has a name that training needs for itself.`,
    hint: `Rename values that begin with "${RESERVED}".`,
  });
}

/** Emits the model of one step: forward pass, loss, backward pass and optimiser. See the README for its inputs and outputs. */
export function buildTrainingGraph(model: Model, options: TrainingGraphOptions): TrainingGraph {
  const [input, ...others] = model.graph.inputs;
  if (!input || others.length > 0 || input.type !== 'float32') {
    const given = model.graph.inputs.map((each) => `${each.name} ${each.type}`).join(', ') || 'none';
    throw new AppError('SHAPE_MISMATCH', { message: `A model with one float32 input can be trained; this one has ${given}.` });
  }
  refuseReservedNames(model);
  const head = lossHead(options.loss);
  const extended = head.extend?.(model) ?? model;
  const { batchSize, trainable } = options;
  const emitter = new TrainingGraphEmitter(extended, { batchSize, trainable, contains: head.contains });
  const labels = head.labels(emitter.shapeOf(emitter.output), (name) => emitter.shapeOf(name));
  emitter.forward();
  const outputs = emitStep(emitter, head, options);
  const { nodes, initializers } = emitter.graph;
  return {
    model: {
      irVersion: IR_VERSION,
      producer: 'selvedge',
      opsets: [{ domain: '', version: OPSET }],
      graph: { name: 'training-step', nodes, initializers, inputs: inputsOf(emitter, input.name, labels, options), outputs },
      metadata: {},
    },
    input: { name: input.name, dims: emitter.shapeOf(input.name) },
    labels,
    initializers: extended.graph.initializers,
    weights: emitter.weights,
    statistics: emitter.statistics,
    masks: emitter.masks,
  };
}
