import { attribute, makeNode } from '@selvedge/graph/onnx';
import { chain, floats, type ModelCase, modelOf, noise, scalar, single, spread } from './model-case.ts';

const { float, string } = attribute;

const picture = [1, 5, 4, 6];
export const ELEMENTWISE: readonly ModelCase[] = [
  ...['Relu', 'Sigmoid', 'Tanh', 'Exp', 'Abs', 'Neg', 'Floor', 'Ceil', 'Round', 'HardSwish', 'HardSigmoid', 'LeakyRelu', 'Elu'].map(
    (op) => ({ name: op, model: single(op, picture) }),
  ),
  ...['Log', 'Sqrt', 'Reciprocal'].map((op): ModelCase => ({ name: op, model: single(op, picture), range: [0.1, 4] })),
  {
    name: 'Clip 0..6',
    model: chain(picture, [
      ['Mul', [scalar(9)]],
      ['Clip', [scalar(0), scalar(6)]],
    ]),
  },
  { name: 'Clip from below', model: single('Clip', picture, [scalar(-0.3)]) },
  { name: 'Clip by attributes', model: single('Clip', picture, [], { min: float(-0.25), max: float(0.75) }, 10) },
  { name: 'LeakyRelu 0.3', model: single('LeakyRelu', picture, [], { alpha: float(0.3) }) },
  { name: 'HardSigmoid 0.3 0.4', model: single('HardSigmoid', picture, [], { alpha: float(0.3), beta: float(0.4) }) },
  { name: 'PRelu per channel', model: single('PRelu', picture, [noise([5, 1, 1])]) },
  { name: 'PRelu of one slope', model: single('PRelu', ['N', 7], [floats(0.2)]) },
  { name: 'Pow 2', model: single('Pow', picture, [scalar(2)]) },
  { name: 'Gelu', model: single('Gelu', picture, [], {}, 20) },
  { name: 'Gelu by tanh', model: single('Gelu', picture, [], { approximate: string('tanh') }, 20) },
  ...['Add', 'Sub', 'Mul', 'Max', 'Min'].map((op) => ({
    name: `${op} of two values`,
    model: modelOf({ inputs: { x: picture, z: picture }, nodes: [makeNode(op, ['x', 'z'], ['y'])] }),
  })),
  { name: 'Div', model: single('Div', picture, [spread(picture, 0.5, 2)]) },
  {
    name: 'Div of a constant',
    model: modelOf({ inputs: { x: picture }, nodes: [makeNode('Div', ['c', 'x'], ['y'])], constants: { c: noise([5, 1, 6]) } }),
    range: [0.5, 2],
  },
  {
    name: 'Sub from a constant',
    model: modelOf({ inputs: { x: picture }, nodes: [makeNode('Sub', ['c', 'x'], ['y'])], constants: { c: noise([5, 1, 6]) } }),
  },
  {
    name: 'Add broadcast per channel',
    model: modelOf({ inputs: { x: picture, z: [1, 5, 1, 1] }, nodes: [makeNode('Add', ['z', 'x'], ['y'])] }),
  },
  {
    name: 'Mul broadcast both ways',
    model: modelOf({ inputs: { x: [1, 5, 1, 6], z: [4, 1] }, nodes: [makeNode('Mul', ['x', 'z'], ['y'])] }),
  },
  { name: 'Add of a lower rank', model: modelOf({ inputs: { x: picture, z: [4, 6] }, nodes: [makeNode('Add', ['x', 'z'], ['y'])] }) },
  {
    name: 'Add, Relu, Add',
    model: modelOf({
      inputs: { x: picture, z: picture },
      nodes: [makeNode('Add', ['x', 'z'], ['a']), makeNode('Relu', ['a'], ['b']), makeNode('Add', ['b', 'x'], ['y'])],
    }),
  },
  {
    name: 'SiLU',
    model: modelOf({ inputs: { x: picture }, nodes: [makeNode('Sigmoid', ['x'], ['s']), makeNode('Mul', ['x', 's'], ['y'])] }),
  },
  {
    name: 'Gelu written out',
    model: modelOf({
      inputs: { x: [1, 4, 6] },
      nodes: [
        makeNode('Div', ['x', 'root'], ['d']),
        makeNode('Erf', ['d'], ['e']),
        makeNode('Add', ['e', 'one'], ['a']),
        makeNode('Mul', ['x', 'a'], ['m']),
        makeNode('Mul', ['m', 'half'], ['y']),
      ],
      constants: { root: scalar(Math.SQRT2), one: scalar(1), half: scalar(0.5) },
    }),
  },
  {
    name: 'HardSwish written out',
    model: modelOf({
      inputs: { x: picture },
      nodes: [
        makeNode('Add', ['x', 'three'], ['a']),
        makeNode('Clip', ['a', 'zero', 'six'], ['c']),
        makeNode('Mul', ['x', 'c'], ['m']),
        makeNode('Div', ['m', 'six'], ['y']),
      ],
      constants: { three: scalar(3), zero: scalar(0), six: scalar(6) },
    }),
    range: [-5, 5],
  },
  {
    name: 'HardSwish by HardSigmoid',
    model: modelOf({
      inputs: { x: picture },
      nodes: [makeNode('HardSigmoid', ['x'], ['s'], { alpha: float(1 / 6) }), makeNode('Mul', ['x', 's'], ['y'])],
    }),
    range: [-5, 5],
  },
];
