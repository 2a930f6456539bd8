import type { GraphBuilder } from '../../onnx/graph-builder.ts';
import type { Node, TensorData } from '../../onnx/index.ts';

/** What a rule may ask about the node that it differentiates. Names are those of values in the training graph. */
export interface NodeView {
  readonly graph: GraphBuilder;
  readonly node: Node;
  /** Name of the input at `index`; throws when the node leaves it out. */
  readonly input: (index: number) => string;
  /** Shape of a value of the forward model, batch included. */
  readonly shape: (value: string) => readonly number[];
  /** The value of the input at `index` where it is fixed (an initializer that is not trained, or a Constant). */
  readonly constant: (index: number) => TensorData | undefined;
  /** Whether anyone needs the gradient by this input: it is a weight that is trained, or depends on one. */
  readonly needs: (index: number) => boolean;
  /** Throws OP_UNSUPPORTED with the node. */
  readonly unsupported: (why: string) => never;
}

/** Further means of a rule whose operator works otherwise in training than in use. */
export interface ForwardView extends NodeView {
  /** Declares a tensor that is filled before each step with 0, or with 1 / (1 - ratio) where a value is kept. */
  readonly dropoutMask: (shape: readonly number[], ratio: number) => string;
  /** Says that the initializer `name` becomes `value` after each step; it is not trained by gradients. */
  readonly updateStatistic: (name: string, value: string) => void;
}

export interface BackwardView extends NodeView {
  /** Gradient of the loss by the node's first output. */
  readonly gradient: string;
  /** What `forward` returned. */
  readonly saved: Saved;
}

/** Values of the forward pass that the backward pass uses again. */
export type Saved = Readonly<Record<string, string>>;

/** How one operator is trained. To add an operator, add a rule to the file of its family. */
export interface GradientRule {
  /** Inputs whose initializers are weights. */
  readonly weights: readonly number[];
  /** Emits the node as it is in training; must make the node's first output. Default: the node itself. */
  readonly forward?: (view: ForwardView) => Saved;
  /** Emits the gradient by each input, in order; undefined where `needs` is false. */
  readonly backward: (view: BackwardView) => (string | undefined)[];
}

export type GradientRules = Readonly<Record<string, GradientRule>>;

/** The saved value; a missing one is a mistake in the rule. */
export function savedValue(view: BackwardView, key: string): string {
  const value = view.saved[key];
  return value ?? view.unsupported(`its rule saved no ${key}`);
}
