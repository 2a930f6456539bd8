import { AppError } from '@selvedge/contract';
import { type DataType, IR_VERSION, type Model, OPSET, type ValueInfo } from '../onnx/index.ts';
import { TrainingGraphEmitter } from './emitter.ts';
import { type DropoutMask, FEED, feedName, next, type Slot, slotsLength } from './feeds.ts';
import { emitLoss, type Loss } from './losses.ts';
import { emitOptimizer, type OptimizerSpec, optimizerState, stepScalars } from './optimizers.ts';

/** A training step as a model, and what its feeds mean. */
export interface TrainingGraph {
  readonly model: Model;
  /** Name of the network's input, and its shape with the batch. */
  readonly input: { readonly name: string; readonly dims: readonly number[] };
  /** Shape of what the loss compares with the labels, batch included. */
  readonly outputDims: readonly number[];
  readonly weights: readonly Slot[];
  readonly statistics: readonly Slot[];
  readonly masks: readonly DropoutMask[];
}

export interface TrainingGraphOptions {
  readonly loss: Loss;
  readonly optimizer: OptimizerSpec;
  readonly batchSize: number;
}

const info = (name: string, type: DataType, shape: readonly number[]): ValueInfo => ({ name, type, shape });

/** The values of one step as they are fed, in the order of the model's inputs. */
function inputsOf(emitter: TrainingGraphEmitter, input: string, outputDims: readonly number[], options: TrainingGraphOptions): ValueInfo[] {
  const count = slotsLength(emitter.weights);
  const statistics = slotsLength(emitter.statistics);
  return [
    info(input, 'float32', emitter.shapeOf(input)),
    options.loss === 'cross-entropy' ? info(FEED.labels, 'int64', [options.batchSize]) : info(FEED.labels, 'float32', outputDims),
    info(FEED.weights, 'float32', [count]),
    ...optimizerState(options.optimizer).map((name) => info(feedName(name), 'float32', [count])),
    ...Object.keys(stepScalars(options.optimizer, 0, 0)).map((name) => info(feedName(name), 'float32', [])),
    ...(statistics > 0 ? [info(FEED.statistics, 'float32', [statistics])] : []),
    ...emitter.masks.map((mask) => info(mask.name, 'float32', mask.dims)),
  ];
}

/** Emits everything after the forward pass and names the results. */
function emitStep(emitter: TrainingGraphEmitter, outputDims: readonly number[], options: TrainingGraphOptions): ValueInfo[] {
  const { graph } = emitter;
  const { loss, gradient } = emitLoss(options.loss, graph, emitter.output, FEED.labels, outputDims);
  const updated = emitOptimizer(options.optimizer, graph, FEED.weights, emitter.backward(gradient));
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

/** Emits the model of one step: forward pass, loss, backward pass and optimiser. See the README for its inputs and outputs. */
export function buildTrainingGraph(model: Model, options: TrainingGraphOptions): TrainingGraph {
  const [input, ...others] = model.graph.inputs;
  if (!input || others.length > 0 || input.type !== 'float32') {
    const given = model.graph.inputs.map((each) => `${each.name} ${each.type}`).join(', ') || 'none';
    throw new AppError('SHAPE_MISMATCH', { message: `A model with one float32 input can be trained; this one has ${given}.` });
  }
  const emitter = new TrainingGraphEmitter(model, options.loss, options.batchSize);
  const outputDims = emitter.shapeOf(emitter.output);
  if (options.loss === 'cross-entropy' && outputDims.length !== 2) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `cross-entropy needs an output [N, classes]; the model gives [${outputDims.join(', ')}].`,
    });
  }
  emitter.forward();
  const outputs = emitStep(emitter, outputDims, options);
  const { nodes, initializers } = emitter.graph;
  return {
    model: {
      irVersion: IR_VERSION,
      producer: 'selvedge',
      opsets: [{ domain: '', version: OPSET }],
      graph: { name: 'training-step', nodes, initializers, inputs: inputsOf(emitter, input.name, outputDims, options), outputs },
      metadata: {},
    },
    input: { name: input.name, dims: emitter.shapeOf(input.name) },
    outputDims,
    weights: emitter.weights,
    statistics: emitter.statistics,
    masks: emitter.masks,
  };
}
