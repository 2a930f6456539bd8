import { attribute, makeNode } from '@selvedge/graph/onnx';
import { chain, ints, type ModelCase, modelOf, noise, scalar, single, spread } from './model-case.ts';

const { int, ints: list, float, string } = attribute;
const pads = (...values: number[]) => ({ pads: list(values) });
const batchNorm = (channels: number) => [
  spread([channels], 0.5, 1.5),
  noise([channels]),
  noise([channels], 1),
  spread([channels], 0.5, 2, 1),
];

export const CONVOLUTIONS: readonly ModelCase[] = [
  { name: 'Conv 3x3', model: single('Conv', ['N', 3, 9, 8], [noise([5, 3, 3, 3]), noise([5])], pads(1, 1, 1, 1)) },
  { name: 'Conv 1x1 without bias', model: single('Conv', [1, 7, 5, 6], [noise([4, 7, 1, 1])]) },
  {
    name: 'Conv strides and uneven pads',
    model: single('Conv', [1, 3, 11, 9], [noise([4, 3, 3, 2]), noise([4])], { ...pads(2, 0, 1, 1), strides: list([2, 3]) }),
  },
  { name: 'Conv dilations', model: single('Conv', [1, 3, 11, 12], [noise([4, 3, 3, 3])], { dilations: list([2, 3]) }) },
  { name: 'Conv groups', model: single('Conv', [1, 6, 7, 7], [noise([8, 3, 3, 3]), noise([8])], { group: int(2), ...pads(1, 1, 1, 1) }) },
  {
    name: 'Conv depthwise 3x3',
    model: single('Conv', [1, 9, 7, 8], [noise([9, 1, 3, 3]), noise([9])], { group: int(9), ...pads(1, 1, 1, 1), strides: list([2, 2]) }),
  },
  {
    name: 'Conv depthwise 7x7',
    model: single('Conv', [1, 6, 9, 9], [noise([6, 1, 7, 7]), noise([6])], { group: int(6), ...pads(3, 3, 3, 3) }),
  },
  { name: 'Conv depthwise multiplier', model: single('Conv', [1, 4, 7, 8], [noise([12, 1, 3, 3]), noise([12])], { group: int(4) }) },
  {
    name: 'Conv SAME_UPPER',
    model: single('Conv', [1, 2, 8, 7], [noise([3, 2, 3, 3])], { auto_pad: string('SAME_UPPER'), strides: list([2, 2]) }),
  },
  { name: 'Conv SAME_LOWER', model: single('Conv', [1, 2, 8, 7], [noise([3, 2, 4, 4])], { auto_pad: string('SAME_LOWER') }) },
  {
    name: 'Conv in one dimension',
    model: single('Conv', ['N', 4, 19], [noise([6, 4, 5]), noise([6])], { ...pads(2, 1), strides: list([2]) }),
  },
  {
    name: 'ConvTranspose',
    model: single('ConvTranspose', [1, 4, 5, 6], [noise([4, 3, 3, 3]), noise([3])], {
      strides: list([2, 2]),
      ...pads(1, 1, 1, 1),
      output_padding: list([1, 1]),
    }),
  },
  {
    name: 'ConvTranspose groups',
    model: single('ConvTranspose', [1, 4, 5, 6], [noise([4, 3, 2, 2]), noise([6])], { strides: list([2, 2]), group: int(2) }),
  },
  {
    name: 'ConvTranspose uneven pads',
    model: single('ConvTranspose', [1, 3, 5, 6], [noise([3, 4, 3, 3])], {
      strides: list([2, 1]),
      ...pads(0, 1, 1, 0),
      dilations: list([1, 2]),
    }),
  },
  {
    name: 'Conv, BatchNormalization, Relu',
    model: chain(
      [1, 3, 8, 8],
      [['Conv', [noise([6, 3, 3, 3]), noise([6])], pads(1, 1, 1, 1)], ['BatchNormalization', batchNorm(6)], ['Relu']],
    ),
  },
  {
    name: 'ConvTranspose, BatchNormalization, Clip',
    model: chain(
      [1, 4, 4, 4],
      [
        ['ConvTranspose', [noise([4, 3, 2, 2])], { strides: list([2, 2]), group: int(1) }],
        ['BatchNormalization', batchNorm(3)],
        ['Clip', [scalar(0), scalar(6)]],
      ],
    ),
  },
  {
    name: 'ConvTranspose of groups, BatchNormalization',
    model: chain(
      [1, 4, 4, 4],
      [
        ['ConvTranspose', [noise([4, 3, 2, 2])], { strides: list([2, 2]), group: int(2) }],
        ['BatchNormalization', batchNorm(6)],
      ],
    ),
  },
  { name: 'BatchNormalization alone, Relu', model: chain([1, 5, 4, 6], [['BatchNormalization', batchNorm(5)], ['Relu']]) },
  { name: 'BatchNormalization of rows', model: single('BatchNormalization', ['N', 5], batchNorm(5)) },
  {
    name: 'Pad, Conv',
    model: chain(
      [1, 3, 6, 7],
      [
        ['Pad', [ints(0, 0, 1, 2, 0, 0, 0, 1)]],
        ['Conv', [noise([4, 3, 3, 3])]],
      ],
    ),
  },
  {
    name: 'Conv, Mul, Add per channel',
    model: chain([1, 3, 6, 6], [['Conv', [noise([4, 3, 3, 3])]], ['Mul', [noise([1, 4, 1, 1])]], ['Add', [noise([4, 1, 1])]], ['Relu']]),
  },
];

export const LINEAR: readonly ModelCase[] = [
  { name: 'Gemm', model: single('Gemm', ['N', 6], [noise([6, 5]), noise([5])]) },
  {
    name: 'Gemm transposed, alpha, beta',
    model: single('Gemm', [3, 6], [noise([5, 6]), noise([1, 5])], { transB: int(1), alpha: float(0.5), beta: float(2) }),
  },
  {
    name: 'Conv, Relu, Flatten, Gemm',
    model: chain(
      [1, 2, 5, 6],
      [['Conv', [noise([4, 2, 3, 3])]], ['Relu'], ['Flatten'], ['Gemm', [noise([7, 48]), noise([7])], { transB: int(1) }], ['Relu']],
    ),
  },
  {
    name: 'Flatten, BatchNormalization, Gemm',
    model: chain([1, 2, 3, 4], [['Flatten'], ['BatchNormalization', batchNorm(24)], ['Gemm', [noise([24, 5])]]]),
  },
  {
    name: 'Gemm, BatchNormalization',
    model: chain(
      [1, 6],
      [
        ['Gemm', [noise([6, 5]), noise([5])]],
        ['BatchNormalization', batchNorm(5)],
      ],
    ),
  },
  {
    name: 'Reshape, MatMul, Add',
    model: chain(
      [1, 2, 3, 4],
      [
        ['Reshape', [ints(0, -1)]],
        ['MatMul', [noise([24, 5])]],
        ['Add', [noise([5])]],
      ],
    ),
  },
  { name: 'MatMul of rows', model: chain([1, 7, 6], [['MatMul', [noise([6, 5])]], ['Add', [noise([5])]], ['Relu']]) },
  {
    name: 'MatMul of two values',
    model: modelOf({ inputs: { x: [2, 3, 5, 6], z: [2, 3, 6, 4] }, nodes: [makeNode('MatMul', ['x', 'z'], ['y'])] }),
  },
  {
    name: 'attention',
    model: modelOf({
      inputs: { x: [1, 6, 12] },
      nodes: [
        makeNode('MatMul', ['x', 'wq'], ['q0']),
        makeNode('Reshape', ['q0', 'heads'], ['q1']),
        makeNode('Transpose', ['q1'], ['q'], { perm: list([0, 2, 1, 3]) }),
        makeNode('Transpose', ['q1'], ['k'], { perm: list([0, 2, 3, 1]) }),
        makeNode('MatMul', ['q', 'k'], ['s0']),
        makeNode('Div', ['s0', 'scale'], ['s1']),
        makeNode('Softmax', ['s1'], ['s'], { axis: int(-1) }),
        makeNode('MatMul', ['s', 'q'], ['o0']),
        makeNode('Transpose', ['o0'], ['o1'], { perm: list([0, 2, 1, 3]) }),
        makeNode('Reshape', ['o1', 'joined'], ['y']),
      ],
      constants: { wq: noise([12, 12]), heads: ints(0, 6, 3, 4), scale: scalar(2), joined: ints(0, 6, 12) },
    }),
  },
  {
    name: 'Gemm of two values',
    model: modelOf({
      inputs: { x: [6, 3], z: [5, 6], c: [3, 5] },
      nodes: [makeNode('Gemm', ['x', 'z', 'c'], ['y'], { transA: int(1), transB: int(1), alpha: float(0.5), beta: float(3) })],
    }),
  },
];
