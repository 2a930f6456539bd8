import { AppError, type Layer } from '@selvedge/contract';
import { Chain } from './chain.ts';
import { inferShapes } from './infer-shapes.ts';
import type { Model } from './model.ts';
import { type NetworkPreset, presetLayers } from './presets.ts';
import { elementCount } from './tensor.ts';

export interface NetworkSpec {
  /** A preset or the layers, first to last. */
  readonly layers: readonly Layer[] | NetworkPreset;
  /** [channels, height, width] of one picture, or [features] of a row of a table. */
  readonly inputShape: readonly [number, number, number] | readonly [number];
  /** Units of the last layer. */
  readonly classes: number;
  /** Factor on the channels of `mobilenet-tiny`, which has 16 to 128; 0.25..4, default 1. Other networks have one width. */
  readonly width?: number;
  /** Seeds the weights; 0..2^32-1. */
  readonly seed: number;
  /** For rows of a table: each feature is brought to mean 0 and deviation 1 first, by numbers that training leaves alone. */
  readonly standardise?: FeatureStatistics;
}

/** One value per feature. */
export interface FeatureStatistics {
  readonly mean: Float32Array;
  /** Standard deviation; 1 for a feature that is the same in every row. */
  readonly deviation: Float32Array;
}

/** The operator set that networks made here, and training graphs, are written for. */
export const OPSET = 17;
export const IR_VERSION = 8;

/**
 * Builds an untrained network: He-initialised weights, opset 17, input "input" [N, C, H, W] or [N, F] float32 with an open batch,
 * output "logits" [N, classes]. The same spec gives the same bytes.
 *
 * `flatten` before `dense` may be left out. The last layer must give one value per class; `classifier` does.
 *
 * @throws AppError SHAPE_MISMATCH when the layers do not fit each other or the picture.
 */
export function buildNetwork(spec: NetworkSpec): Model {
  const layers = typeof spec.layers === 'string' ? presetLayers(spec.layers, spec.width) : spec.layers;
  const chain = new Chain(spec);
  if (spec.standardise !== undefined) chain.standardise(spec.standardise.mean, spec.standardise.deviation);
  chain.addAll(layers);
  if (chain.shape.length !== 1 && elementCount(chain.shape) === spec.classes) chain.add('flatten');
  if (chain.shape.length !== 1 || chain.shape[0] !== spec.classes) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `The network ends with [${chain.shape.join(', ')}] values per picture, but there are ${spec.classes} classes.`,
      hint: 'End the list of layers with "classifier".',
    });
  }
  chain.finish('logits');
  const model: Model = {
    irVersion: IR_VERSION,
    producer: 'selvedge',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: typeof spec.layers === 'string' ? spec.layers : 'network',
      nodes: chain.nodes,
      initializers: chain.initializers,
      inputs: [{ name: 'input', type: 'float32', shape: ['N', ...spec.inputShape] }],
      outputs: [{ name: 'logits', type: 'float32', shape: ['N', spec.classes] }],
    },
    metadata: {},
  };
  inferShapes(model);
  return model;
}
