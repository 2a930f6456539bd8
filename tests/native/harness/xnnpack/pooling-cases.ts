import { attribute, makeNode } from '@selvedge/graph/onnx';
import { chain, ints, type ModelCase, modelOf, noise, scalar, single, spread } from './model-case.ts';

const { int, ints: list, string } = attribute;
const pads = (...values: number[]) => ({ pads: list(values) });

export const POOLS: readonly ModelCase[] = [
  { name: 'MaxPool 2x2', model: single('MaxPool', [1, 5, 6, 8], [], { kernel_shape: list([2, 2]), strides: list([2, 2]) }) },
  {
    name: 'MaxPool pads',
    model: single('MaxPool', [1, 5, 6, 7], [], { kernel_shape: list([3, 3]), strides: list([2, 2]), ...pads(1, 1, 1, 0) }),
  },
  {
    name: 'MaxPool ceil_mode',
    model: single('MaxPool', [1, 5, 7, 7], [], { kernel_shape: list([2, 2]), strides: list([2, 2]), ceil_mode: int(1) }),
  },
  { name: 'MaxPool dilations', model: single('MaxPool', [1, 5, 9, 9], [], { kernel_shape: list([3, 2]), dilations: list([2, 3]) }) },
  { name: 'MaxPool of one element', model: single('MaxPool', [1, 5, 9, 9], [], { kernel_shape: list([1, 1]), strides: list([2, 2]) }) },
  { name: 'MaxPool in one dimension', model: single('MaxPool', [1, 5, 9], [], { kernel_shape: list([3]), strides: list([2]) }) },
  { name: 'AveragePool', model: single('AveragePool', [1, 5, 6, 8], [], { kernel_shape: list([2, 3]), strides: list([2, 2]) }) },
  {
    name: 'AveragePool pads do not count',
    model: single('AveragePool', [1, 5, 6, 7], [], { kernel_shape: list([3, 3]), strides: list([2, 2]), ...pads(1, 1, 1, 0) }),
  },
  {
    name: 'AveragePool pads count',
    model: single('AveragePool', [1, 5, 6, 7], [], {
      kernel_shape: list([3, 3]),
      strides: list([2, 2]),
      ...pads(1, 1, 1, 0),
      count_include_pad: int(1),
    }),
  },
  {
    name: 'AveragePool ceil_mode',
    model: single('AveragePool', [1, 5, 7, 7], [], {
      kernel_shape: list([3, 3]),
      strides: list([2, 2]),
      ...pads(0, 1, 0, 1),
      ceil_mode: int(1),
    }),
  },
  {
    name: 'AveragePool SAME_UPPER',
    model: single('AveragePool', [1, 5, 7, 8], [], { kernel_shape: list([3, 3]), strides: list([2, 2]), auto_pad: string('SAME_UPPER') }),
  },
  { name: 'GlobalAveragePool, Flatten', model: chain([1, 5, 7, 6], [['GlobalAveragePool'], ['Flatten']]) },
  { name: 'GlobalMaxPool', model: single('GlobalMaxPool', [1, 5, 7, 6]) },
  { name: 'ReduceMean over the picture', model: single('ReduceMean', [1, 5, 7, 6], [], { axes: list([2, 3]), keepdims: int(0) }) },
  { name: 'ReduceMean over channels', model: single('ReduceMean', [1, 5, 7, 6], [], { axes: list([1]) }) },
  { name: 'ReduceMean with operand', model: single('ReduceMean', [2, 5, 7], [ints(-1)], {}, 18) },
  { name: 'ReduceSum', model: single('ReduceSum', [2, 5, 7], [ints(1)], { keepdims: int(0) }) },
  { name: 'ReduceMax', model: single('ReduceMax', [2, 5, 7, 3], [], { axes: list([1, 3]) }) },
  { name: 'Softmax', model: single('Softmax', ['N', 9]) },
  { name: 'Softmax over channels', model: single('Softmax', [1, 5, 4, 3], [], { axis: int(1) }) },
  { name: 'Softmax over rows', model: single('Softmax', [1, 5, 4, 3], [], { axis: int(2) }) },
  { name: 'Softmax of opset 11', model: single('Softmax', [2, 5, 4], [], { axis: int(1) }, 11) },
  { name: 'LogSoftmax', model: chain([3, 9], [['Mul', [scalar(60)]], ['LogSoftmax']]) },
  { name: 'LayerNormalization', model: single('LayerNormalization', [1, 6, 12], [spread([12], 0.5, 2), noise([12])], { axis: int(-1) }) },
  {
    name: 'LayerNormalization of channels last',
    model: chain(
      [1, 8, 4, 5],
      [
        ['Transpose', [], { perm: list([0, 2, 3, 1]) }],
        ['LayerNormalization', [spread([8], 0.5, 2), noise([8])]],
        ['Transpose', [], { perm: list([0, 3, 1, 2]) }],
      ],
    ),
  },
  {
    name: 'LayerNormalization written out',
    model: modelOf({
      inputs: { x: [1, 6, 12] },
      nodes: [
        makeNode('ReduceMean', ['x'], ['m'], { axes: list([-1]) }),
        makeNode('Sub', ['x', 'm'], ['d']),
        makeNode('Pow', ['d', 'two'], ['p']),
        makeNode('ReduceMean', ['p'], ['v'], { axes: list([-1]) }),
        makeNode('Add', ['v', 'eps'], ['e']),
        makeNode('Sqrt', ['e'], ['s']),
        makeNode('Div', ['d', 's'], ['n']),
        makeNode('Mul', ['n', 'g'], ['w']),
        makeNode('Add', ['w', 'b'], ['y']),
      ],
      constants: { two: scalar(2), eps: scalar(1e-5), g: spread([12], 0.5, 2), b: noise([12]) },
    }),
  },
];
