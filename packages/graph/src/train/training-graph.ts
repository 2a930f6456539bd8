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

/** Emits the model of one step: forward pass, loss, backward pass and optimiser. See the README for its inputs and outputs. */
export function buildTrainingGraph(model: Model, options: TrainingGraphOptions): TrainingGraph {
  const [input, ...others] = model.graph.inputs;
  if (!input || others.length > 0 || input.type !== 'float32') {
    throw new AppError('SHAPE_MISMATCH', { message: `A model with one float32 input can be trained; this one has ${model.graph.inputs.map((each) => `${each.name} ${each.type}`).join(', ') || 'none'}.` });
  }
  const emitter = new TrainingGraphEmitter(model, options.loss, options.batchSize);
  const { graph } = emitter;
  const outputDims = emitter.shapeOf(emitter.output);
  if (options.loss === 'cross-entropy' && outputDims.length !== 2) {
    throw new AppError('SHAPE_MISMATCH', { message: `cross-entropy needs an output [N, classes]; the model gives [${outputDims.join(', ')}].` });
  }
  emitter.forward();
  const { loss, gradient } = emitLoss(options.loss, graph, emitter.output, FEED.labels, outputDims);
  const updated = emitOptimizer(options.optimizer, graph, FEED.weights, emitter.backward(gradient));
  const count = slotsLength(emitter.weights);
  const results: { name: string; from: string; dims: readonly number[] }[] = [
    { name: 'loss', from: loss, dims: [] },
    { name: next(FEED.weights), from: updated.weights, dims: [count] },
    ...optimizerState(options.optimizer).map((name, i) => ({ name: next(feedName(name)), from: updated.state[i] ?? '', dims: [count] })),
  ];
  const statisticsCount = slotsLength(emitter.statistics);
  if (statisticsCount > 0) results.push({ name: next(FEED.statistics), from: emitter.statisticsAfter(), dims: [statisticsCount] });
  for (const { name, from } of results) graph.opInto('Identity', [from], [name]);
  const inputDims = emitter.shapeOf(input.name);
  const inputs = [
    info(input.name, 'float32', inputDims),
    options.loss === 'cross-entropy' ? info(FEED.labels, 'int64', [options.batchSize]) : info(FEED.labels, 'float32', outputDims),
    info(FEED.weights, 'float32', [count]),
    ...optimizerState(options.optimizer).map((name) => info(feedName(name), 'float32', [count])),
    ...Object.keys(stepScalars(options.optimizer, 0, 0)).map((name) => info(feedName(name), 'float32', [])),
    ...(statisticsCount > 0 ? [info(FEED.statistics, 'float32', [statisticsCount])] : []),
    ...emitter.masks.map((mask) => info(mask.name, 'float32', mask.dims)),
  ];
  return {
    model: {
      irVersion: IR_VERSION,
      producer: 'selvedge',
      opsets: [{ domain: '', version: OPSET }],
      graph: { name: 'training-step', nodes: graph.nodes, initializers: graph.initializers, inputs, outputs: results.map(({ name, dims }) => info(name, 'float32', dims)) },
      metadata: {},
    },
    input: { name: input.name, dims: inputDims },
    outputDims,
    weights: emitter.weights,
    statistics: emitter.statistics,
    masks: emitter.masks,
  };
}
