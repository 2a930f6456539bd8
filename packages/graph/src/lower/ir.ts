/**
 * What `lowerModel` makes of a model: a list of operations on tensors whose order in memory is settled, close to what
 * engines for small devices offer. Pictures lie in the order N, H, W, C.
 */

/** How a value in int8 stands for a real number: `scale * (stored - zeroPoint)`. */
export interface QuantParams {
  readonly scale: number;
  /** -128..127. */
  readonly zeroPoint: number;
}

/** Fixed contents of a value. `qcint8` and `qcint32` have one scale per entry of the dimension `channelAxis` and no zero point. */
export type ConstantData =
  | { readonly type: 'float32'; readonly values: Float32Array }
  | { readonly type: 'qint8'; readonly values: Int8Array }
  | { readonly type: 'qcint8'; readonly values: Int8Array; readonly scales: Float32Array; readonly channelAxis: number }
  | { readonly type: 'qcint32'; readonly values: Int32Array; readonly scales: Float32Array; readonly channelAxis: number };

/** A tensor; operations name it by its index in `IrGraph.values`. */
export interface IrValue {
  /** Name in the model that it comes from, for people. */
  readonly name: string;
  readonly type: 'float32' | 'qint8' | 'qcint8' | 'qcint32';
  /** Row-major sizes as they lie in memory. */
  readonly dims: readonly number[];
  /** Of `qint8` values. */
  readonly quant?: QuantParams;
  readonly constant?: ConstantData;
}

/** Bounds that the result is clipped to; -Infinity and Infinity where there is none. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export const UNBOUNDED: Bounds = { min: -Infinity, max: Infinity };

/** A window over height and width, each pair as [height, width]; pads are [top, right, bottom, left]. */
export interface Window2d {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

export type UnaryOperator =
  | 'abs'
  | 'ceiling'
  | 'clamp'
  | 'convert'
  | 'elu'
  | 'exp'
  | 'floor'
  | 'gelu'
  | 'hardSwish'
  | 'leakyRelu'
  | 'log'
  | 'negate'
  | 'reciprocalSquareRoot'
  | 'roundToEven'
  | 'sigmoid'
  | 'square'
  | 'squareRoot'
  | 'tanh';

export type BinaryOperator = 'add' | 'divide' | 'maximum' | 'minimum' | 'multiply' | 'power' | 'prelu' | 'subtract';

/** Weights of conv2d lie as [outputs, height, width, inputs of a group], of depthwise2d as [1, height, width, outputs], of
 *  deconv2d as [outputs, height, width, inputs of a group], of fullyConnected as [outputs, inputs]. */
export type IrOp =
  | (ConvOp & { readonly op: 'conv2d'; readonly groups: number; readonly groupInputs: number; readonly groupOutputs: number })
  | (ConvOp & { readonly op: 'depthwise2d'; readonly inputs: number; readonly multiplier: number })
  | (ConvOp & {
      readonly op: 'deconv2d';
      readonly groups: number;
      readonly groupInputs: number;
      readonly groupOutputs: number;
      /** Rows and columns added at the end of the result. */
      readonly adjustment: readonly [number, number];
    })
  /** Works on the last dimension; all others are rows. The result is [rows, outputs]. */
  | {
      readonly op: 'fullyConnected';
      readonly x: number;
      readonly weights: number;
      readonly bias: number;
      readonly y: number;
      readonly bounds: Bounds;
    }
  /** [batch..., M, K] by [batch..., K, N], or by [batch..., N, K] where `transposeB`. */
  | { readonly op: 'matMul'; readonly a: number; readonly b: number; readonly y: number; readonly transposeB: boolean }
  | { readonly op: 'maxPool2d'; readonly window: Window2d; readonly x: number; readonly y: number; readonly bounds: Bounds }
  /** Padding does not count. */
  | { readonly op: 'averagePool2d'; readonly window: Window2d; readonly x: number; readonly y: number; readonly bounds: Bounds }
  | { readonly op: 'unary'; readonly operator: UnaryOperator; readonly x: number; readonly y: number; readonly params: readonly number[] }
  | {
      readonly op: 'binary';
      readonly operator: BinaryOperator;
      readonly a: number;
      readonly b: number;
      readonly y: number;
      readonly bounds: Bounds;
    }
  /** Over the last dimension. */
  | { readonly op: 'softmax'; readonly x: number; readonly y: number }
  /** The reduced dimensions stay with size 1. */
  | { readonly op: 'reduce'; readonly operator: 'mean' | 'sum'; readonly axes: readonly number[]; readonly x: number; readonly y: number }
  /** 2 to 5 parts. */
  | { readonly op: 'concat'; readonly axis: number; readonly xs: readonly number[]; readonly y: number }
  | { readonly op: 'slice'; readonly offsets: readonly number[]; readonly sizes: readonly number[]; readonly x: number; readonly y: number }
  | {
      readonly op: 'pad';
      readonly before: readonly number[];
      readonly after: readonly number[];
      readonly value: number;
      readonly x: number;
      readonly y: number;
    }
  | { readonly op: 'reshape'; readonly dims: readonly number[]; readonly x: number; readonly y: number }
  | { readonly op: 'transpose'; readonly perm: readonly number[]; readonly x: number; readonly y: number }
  | {
      readonly op: 'resizeBilinear';
      readonly height: number;
      readonly width: number;
      readonly mode: 'halfPixel' | 'alignCorners' | 'asymmetric';
      readonly x: number;
      readonly y: number;
    }
  | { readonly op: 'copy'; readonly x: number; readonly y: number };

interface ConvOp {
  readonly window: Window2d;
  readonly x: number;
  readonly weights: number;
  readonly bias: number;
  readonly y: number;
  readonly bounds: Bounds;
}

/** An input or output of the model. */
export interface IrPort {
  readonly name: string;
  /** As in the model. */
  readonly shape: readonly number[];
  /** `nhwc`: the four dimensions lie in the order N, H, W, C in memory. */
  readonly order: 'asShape' | 'nhwc';
  /** Index of its value. */
  readonly value: number;
}

/** A lowered model. Operations stand in an order in which every value is made before it is used. */
export interface IrGraph {
  readonly values: readonly IrValue[];
  readonly ops: readonly IrOp[];
  readonly inputs: readonly IrPort[];
  readonly outputs: readonly IrPort[];
}
