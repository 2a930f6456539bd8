import { type Attribute, attribute, float32Tensor, type TensorData } from '../../onnx/index.ts';
import type { LossSpec } from '../losses/index.ts';

/** One operator whose operands are all weights. */
export interface OpCase {
  readonly op: string;
  readonly title?: string;
  /** Shapes of the operands that are differentiated. */
  readonly operands: readonly (readonly number[])[];
  /** Operands after those, which are fixed. */
  readonly fixed?: readonly TensorData[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly loss?: LossSpec;
  /** Added to every value, to keep away from a pole. */
  readonly shift?: number;
}

const { ints, int, float, string } = attribute;
const window = (kernel: number[], strides: number[], pads: number[]) => ({
  kernel_shape: ints(kernel),
  strides: ints(strides),
  pads: ints(pads),
});
const scalar = (value: number) => float32Tensor([], Float32Array.of(value));
const shapeTensor = (values: number[]): TensorData => ({ type: 'int64', dims: [values.length], data: BigInt64Array.from(values, BigInt) });
const channels = (count: number) => float32Tensor([count], new Float32Array(count).fill(1));

export const GRADIENT_CASES: readonly OpCase[] = [
  { op: 'Conv', title: '3x3, padding 1', operands: [[2, 2, 4, 5], [3, 2, 3, 3], [3]], attributes: window([3, 3], [1, 1], [1, 1, 1, 1]) },
  {
    op: 'Conv',
    title: '1x1, no bias',
    operands: [
      [2, 3, 3, 2],
      [2, 3, 1, 1],
    ],
  },
  { op: 'Conv', title: 'one channel, no padding', operands: [[2, 1, 5, 5], [2, 1, 3, 3], [2]] },
  {
    op: 'Conv',
    title: 'stride 2 with pixels left over',
    operands: [[2, 2, 6, 6], [3, 2, 3, 3], [3]],
    attributes: window([3, 3], [2, 2], [1, 1, 1, 1]),
  },
  {
    op: 'Conv',
    title: 'stride 3 and 2, uneven pads',
    operands: [
      [1, 2, 7, 6],
      [2, 2, 2, 3],
    ],
    attributes: window([2, 3], [3, 2], [1, 0, 0, 2]),
  },
  {
    op: 'Conv',
    title: 'more padding than kernel',
    operands: [
      [1, 1, 3, 3],
      [2, 1, 2, 2],
    ],
    attributes: window([2, 2], [1, 1], [2, 2, 2, 2]),
  },
  {
    op: 'Conv',
    title: 'groups',
    operands: [[2, 4, 4, 4], [6, 2, 3, 3], [6]],
    attributes: { ...window([3, 3], [1, 1], [1, 1, 1, 1]), group: int(2) },
  },
  {
    op: 'Conv',
    title: 'depthwise, stride 2',
    operands: [
      [2, 3, 5, 5],
      [3, 1, 3, 3],
    ],
    attributes: { ...window([3, 3], [2, 2], [1, 1, 1, 1]), group: int(3) },
  },
  {
    op: 'Conv',
    title: 'dilations',
    operands: [
      [1, 2, 6, 6],
      [2, 2, 2, 2],
    ],
    attributes: { dilations: ints([2, 3]) },
  },
  {
    op: 'Conv',
    title: 'auto_pad',
    operands: [
      [1, 2, 5, 4],
      [2, 2, 3, 2],
    ],
    attributes: { auto_pad: string('SAME_UPPER'), strides: ints([2, 2]) },
  },
  { op: 'Conv', title: 'one spatial dimension', operands: [[2, 2, 6], [2, 2, 3], [2]], attributes: { strides: ints([2]) } },
  { op: 'MaxPool', operands: [[2, 2, 4, 4]], attributes: window([2, 2], [2, 2], [0, 0, 0, 0]) },
  { op: 'MaxPool', title: 'odd size', operands: [[2, 2, 5, 3]], attributes: window([2, 2], [2, 2], [0, 0, 0, 0]) },
  { op: 'MaxPool', title: 'windows overlap', operands: [[2, 2, 5, 6]], attributes: window([3, 3], [2, 1], [1, 1, 1, 1]) },
  {
    op: 'MaxPool',
    title: 'padding and a window that reaches over the end',
    operands: [[2, 2, 6, 5]],
    attributes: { ...window([2, 2], [3, 2], [1, 0, 0, 0]), ceil_mode: int(1) },
  },
  { op: 'AveragePool', operands: [[2, 2, 4, 4]], attributes: window([2, 2], [2, 2], [0, 0, 0, 0]) },
  { op: 'AveragePool', title: 'odd size', operands: [[1, 2, 5, 3]], attributes: window([2, 2], [2, 2], [0, 0, 0, 0]) },
  {
    op: 'AveragePool',
    title: 'windows overlap, padding not counted',
    operands: [[2, 2, 5, 4]],
    attributes: window([3, 3], [2, 1], [1, 1, 1, 1]),
  },
  {
    op: 'AveragePool',
    title: 'padding counted',
    operands: [[1, 2, 4, 4]],
    attributes: { ...window([3, 3], [2, 2], [1, 1, 1, 1]), count_include_pad: int(1) },
  },
  { op: 'GlobalAveragePool', operands: [[2, 3, 3, 4]] },
  { op: 'BatchNormalization', operands: [[3, 2, 2, 3], [2], [2]], fixed: [channels(2), channels(2)] },
  { op: 'BatchNormalization', title: 'of features', operands: [[5, 3], [3], [3]], fixed: [channels(3), channels(3)] },
  { op: 'Gemm', operands: [[3, 4], [4, 2], [2]] },
  {
    op: 'Gemm',
    title: 'transA',
    operands: [
      [4, 3],
      [4, 2],
      [3, 1],
    ],
    attributes: { transA: int(1), alpha: float(0.5) },
  },
  {
    op: 'Gemm',
    title: 'transB',
    operands: [
      [3, 4],
      [2, 4],
      [1, 2],
    ],
    attributes: { transB: int(1), beta: float(2) },
  },
  {
    op: 'Gemm',
    title: 'both',
    operands: [
      [4, 3],
      [2, 4],
    ],
    attributes: { transA: int(1), transB: int(1), alpha: float(1.5) },
  },
  {
    op: 'MatMul',
    operands: [
      [3, 4],
      [4, 2],
    ],
  },
  {
    op: 'MatMul',
    title: 'batches by matrix',
    operands: [
      [2, 3, 4],
      [4, 2],
    ],
  },
  {
    op: 'MatMul',
    title: 'batches by batches',
    operands: [
      [2, 1, 3, 2],
      [2, 2, 3],
    ],
  },
  {
    op: 'Add',
    operands: [
      [2, 3, 4],
      [3, 1],
    ],
  },
  {
    op: 'Sub',
    operands: [
      [3, 1],
      [2, 3, 4],
    ],
  },
  {
    op: 'Mul',
    operands: [
      [2, 3, 4],
      [1, 4],
    ],
  },
  { op: 'Mul', title: 'square', operands: [[2, 5]], attributes: {} },
  { op: 'Div', operands: [[3, 4], [4]], shift: 3 },
  { op: 'Relu', operands: [[3, 8]] },
  { op: 'LeakyRelu', operands: [[3, 8]], attributes: { alpha: float(0.2) } },
  { op: 'Sigmoid', operands: [[3, 8]] },
  { op: 'Tanh', operands: [[3, 8]] },
  { op: 'Clip', operands: [[3, 8]], fixed: [scalar(-1), scalar(1)] },
  { op: 'Identity', operands: [[3, 4]] },
  { op: 'Flatten', operands: [[2, 3, 2, 2]], attributes: { axis: int(2) } },
  { op: 'Reshape', operands: [[2, 3, 4]], fixed: [shapeTensor([0, -1, 2])] },
  { op: 'Transpose', operands: [[2, 3, 4]], attributes: { perm: ints([1, 2, 0]) } },
  { op: 'Transpose', title: 'reversed', operands: [[2, 3, 4]] },
  {
    op: 'Concat',
    operands: [
      [2, 1, 3],
      [2, 2, 3],
      [2, 3, 3],
    ],
    attributes: { axis: int(-2) },
  },
  { op: 'Slice', operands: [[3, 4, 5]], fixed: [shapeTensor([1, -3]), shapeTensor([3, 5]), shapeTensor([0, 2])] },
  { op: 'Pad', operands: [[2, 3]], fixed: [shapeTensor([1, 0, 0, 2])] },
  { op: 'Squeeze', operands: [[2, 1, 3]], fixed: [shapeTensor([1])] },
  { op: 'Unsqueeze', operands: [[2, 3]], fixed: [shapeTensor([1])] },
  {
    op: 'Resize',
    operands: [[2, 2, 3, 2]],
    fixed: [float32Tensor([0], new Float32Array()), float32Tensor([4], Float32Array.of(1, 1, 2, 3))],
    attributes: { mode: string('nearest'), nearest_mode: string('floor'), coordinate_transformation_mode: string('asymmetric') },
  },
  { op: 'ReduceSum', operands: [[2, 3, 4]], fixed: [shapeTensor([1])], attributes: { keepdims: int(0) } },
  { op: 'ReduceSum', title: 'sizes kept', operands: [[2, 3, 4]], fixed: [shapeTensor([2, 1])] },
  { op: 'ReduceMean', operands: [[2, 3, 4]], attributes: { axes: ints([-1]), keepdims: int(0) } },
  { op: 'Exp', operands: [[3, 4]] },
  { op: 'Log', operands: [[3, 4]], shift: 3 },
  { op: 'Sqrt', operands: [[3, 4]], shift: 3 },
  { op: 'Abs', operands: [[3, 4]] },
  { op: 'Neg', operands: [[3, 4]] },
  { op: 'Reciprocal', operands: [[3, 4]], shift: 3 },
  { op: 'Softplus', operands: [[3, 4]] },
  { op: 'HardSigmoid', operands: [[3, 8]], attributes: { alpha: float(0.4) } },
  { op: 'HardSwish', operands: [[4, 8]], shift: 2.05 },
  { op: 'Pow', operands: [[3, 4]], fixed: [scalar(2)] },
  { op: 'Pow', title: 'of 3', operands: [[3, 4]], fixed: [scalar(3)] },
  {
    op: 'Max',
    operands: [
      [2, 3, 4],
      [3, 1],
    ],
  },
  {
    op: 'Min',
    operands: [
      [3, 1],
      [2, 3, 4],
    ],
  },
  { op: 'Dropout', operands: [[4, 6]], fixed: [scalar(0.5)] },
  { op: 'Softmax', operands: [[3, 5]], attributes: { axis: int(-1) } },
  { op: 'Softmax', title: 'over channels', operands: [[2, 3, 2, 2]], attributes: { axis: int(1) } },
  { op: 'LogSoftmax', operands: [[3, 5]], attributes: { axis: int(-1) } },
  { op: 'Identity', title: 'cross-entropy', operands: [[4, 5]], loss: 'cross-entropy' },
  {
    op: 'Identity',
    title: 'cross-entropy with class weights',
    operands: [[4, 3]],
    loss: { kind: 'cross-entropy', classWeights: [1, 0.2, 3], labelSmoothing: 0.1 },
  },
  { op: 'Identity', title: 'identities', operands: [[4, 3]], loss: { kind: 'identity', identities: 3, scale: 2 } },
  { op: 'Identity', title: 'boxes and scores', operands: [[2, 6, 3]], loss: { kind: 'detection' } },
  { op: 'Softmax', title: 'taken into cross-entropy', operands: [[4, 5]], loss: 'cross-entropy' },
  { op: 'Identity', title: 'bce-with-logits', operands: [[4, 5]], loss: 'bce-with-logits' },
];
