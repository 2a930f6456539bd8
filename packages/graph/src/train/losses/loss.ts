import type { GraphBuilder } from '../../onnx/graph-builder.ts';
import type { DataType, Model } from '../../onnx/index.ts';

/** Losses that need no parameters; each is the mean over the batch (and over all outputs for `mse` and `bce-with-logits`). */
export type Loss = 'cross-entropy' | 'mse' | 'bce-with-logits';

/** -log softmax(z)[y] with class indices y. */
export interface CrossEntropyLoss {
  readonly kind: 'cross-entropy';
  /** One positive factor per class; the loss is divided by the sum of the batch's factors. Default: all 1. */
  readonly classWeights?: readonly number[];
  /** Share of the target that is spread over all classes evenly; 0..1, default 0 (Szegedy et al. 2016). */
  readonly labelSmoothing?: number;
}

/**
 * For models of `buildDetector`, with labels from `detectionTargets`: generalised IoU of the boxes plus quality focal loss
 * of the scores, both per object.
 */
export interface DetectionLoss {
  readonly kind: 'detection';
  /** Factor of the boxes' part; default 2. */
  readonly boxWeight?: number;
}

/**
 * For models of `buildEmbedding`: cross-entropy over the cosines to one trained vector per identity, that of the right one
 * reduced by a margin (CosFace: Wang et al. 2018). Labels are indices of identities. The vectors are part of a checkpoint
 * and not of the exported model.
 */
export interface IdentityLoss {
  readonly kind: 'identity';
  /** Different identities in the training set; from 2. */
  readonly identities: number;
  /** Factor of the cosines; default 16. */
  readonly scale?: number;
  /** 0..1, default 0.2. */
  readonly margin?: number;
  /** Seeds the identities' vectors; default 0. */
  readonly seed?: number;
}

/** What training makes small. */
export type LossSpec = Loss | CrossEntropyLoss | DetectionLoss | IdentityLoss;

export type LossKind = Loss | 'detection' | 'identity';

export function lossKind(spec: LossSpec): LossKind {
  return typeof spec === 'string' ? spec : spec.kind;
}

/** What is fed as the labels of one batch. */
export interface LabelsInfo {
  readonly type: Extract<DataType, 'int64' | 'float32'>;
  /** Batch included. */
  readonly dims: readonly number[];
  /** Integer labels lie below this. */
  readonly classes?: number;
}

export interface LossValues {
  /** Scalar. */
  readonly loss: string;
  /** Gradient of the loss by the value that it was made from. */
  readonly gradient: string;
}

/** A loss in two parts: one that is differentiated like the network, and the end, whose gradient is written by hand. */
export interface LossHead {
  /** Operators at the end of the network that the loss contains: they stay in the exported model only. */
  readonly contains: readonly string[];
  /** Appends to the network what the loss computes of its outputs; the result is the first output. Default: nothing. */
  extend?(model: Model): Model;
  /** @param shapeOf - of a value of the network, batch included. @param shape - of the value that the end is made from. */
  labels(shape: readonly number[], shapeOf: (name: string) => readonly number[]): LabelsInfo;
  /** Emits the end. @param z - what the network, or its extension, gives; of shape `shape`. @param y - the labels. */
  emit(graph: GraphBuilder, z: string, y: string, shape: readonly number[]): LossValues;
}
