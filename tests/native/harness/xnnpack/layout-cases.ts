import { attribute, buildNetwork, makeNode } from '@selvedge/graph/onnx';
import { chain, floats, ints, type ModelCase, modelOf, noise, scalar, single } from './model-case.ts';

const { int, ints: list, string } = attribute;

const two = (op: string, attributes: Parameters<typeof makeNode>[3], shapes: [number[], number[]]) =>
  modelOf({ inputs: { x: shapes[0], z: shapes[1] }, nodes: [makeNode(op, ['x', 'z'], ['y'], attributes)] });

const small = (layers: Parameters<typeof buildNetwork>[0]['layers']) =>
  buildNetwork({ layers, inputShape: [3, 16, 16], classes: 5, seed: 3 });

export const LAYOUT: readonly ModelCase[] = [
  {
    name: 'Concat of channels',
    model: two('Concat', { axis: int(1) }, [
      [1, 3, 4, 5],
      [1, 2, 4, 5],
    ]),
  },
  {
    name: 'Concat of rows',
    model: two('Concat', { axis: int(2) }, [
      [1, 3, 4, 5],
      [1, 3, 2, 5],
    ]),
  },
  {
    name: 'Concat of vectors',
    model: two('Concat', { axis: int(-1) }, [
      [2, 3],
      [2, 5],
    ]),
  },
  {
    name: 'Concat of seven',
    model: modelOf({
      inputs: { x: [1, 3, 4, 5] },
      nodes: [
        ...Array.from({ length: 6 }, (_, i) => makeNode('Mul', ['x', `c${i}`], [`m${i}`])),
        makeNode('Concat', ['x', 'm0', 'm1', 'm2', 'm3', 'm4', 'm5'], ['y'], { axis: int(1) }),
      ],
      constants: Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`c${i}`, scalar(i + 2)])),
    }),
  },
  {
    name: 'Split even',
    model: modelOf({
      inputs: { x: [1, 6, 4, 5] },
      nodes: [makeNode('Split', ['x'], ['a', 'b', 'c'], { axis: int(1) }), makeNode('Mul', ['a', 'c'], ['y'])],
      outputs: ['y', 'b'],
    }),
  },
  {
    name: 'Split uneven',
    model: modelOf({
      inputs: { x: [1, 6, 4, 5] },
      nodes: [makeNode('Split', ['x', 's'], ['y', 'z'], { axis: int(1) })],
      constants: { s: ints(2, 4) },
      outputs: ['y', 'z'],
    }),
  },
  { name: 'Slice', model: single('Slice', [1, 6, 8, 9], [ints(1, -5), ints(4, 1000), ints(1, 3)]) },
  { name: 'Slice with steps', model: single('Slice', [1, 3, 8, 9], [ints(0, 1), ints(8, 9), ints(2, 3), ints(2, 2)]) },
  {
    name: 'Focus',
    model: modelOf({
      inputs: { x: [1, 3, 8, 6] },
      nodes: [
        ...[0, 1].flatMap((row) =>
          [0, 1].map((column) => makeNode('Slice', ['x', `s${row}${column}`, 'ends', 'axes', 'steps'], [`p${row}${column}`])),
        ),
        makeNode('Concat', ['p00', 'p10', 'p01', 'p11'], ['c'], { axis: int(1) }),
        makeNode('Conv', ['c', 'w'], ['y']),
      ],
      constants: {
        s00: ints(0, 0),
        s01: ints(0, 1),
        s10: ints(1, 0),
        s11: ints(1, 1),
        ends: ints(1000, 1000),
        axes: ints(2, 3),
        steps: ints(2, 2),
        w: noise([4, 12, 3, 3]),
      },
    }),
  },
  { name: 'Pad by a value', model: single('Pad', [1, 3, 4, 5], [ints(0, 0, 1, 2, 0, 1, 3, 0), scalar(0.5)]) },
  { name: 'Pad and cut', model: single('Pad', [1, 3, 4, 5], [ints(0, 0, -1, 2, 0, 0, 0, -1)]) },
  {
    name: 'Reshape of channels',
    model: chain(
      [1, 6, 4, 5],
      [
        ['Reshape', [ints(1, 2, 3, 4, 5)]],
        ['Transpose', [], { perm: list([0, 2, 1, 3, 4]) }],
        ['Reshape', [ints(1, 6, 4, 5)]],
        ['Conv', [noise([3, 6, 3, 3])]],
      ],
    ),
  },
  { name: 'Reshape across', model: single('Reshape', [1, 6, 4, 5], [ints(1, 4, 30)]) },
  {
    name: 'Reshape to boxes',
    model: chain(
      [1, 8, 3, 4],
      [
        ['Conv', [noise([10, 8, 1, 1])]],
        ['Reshape', [ints(0, 10, -1)]],
        ['Transpose', [], { perm: list([0, 2, 1]) }],
      ],
    ),
  },
  { name: 'Transpose', model: single('Transpose', [2, 3, 4, 5], [], { perm: list([3, 1, 0, 2]) }) },
  {
    name: 'Transpose there and back',
    model: chain(
      [1, 3, 4, 5],
      [['Transpose', [], { perm: list([0, 2, 3, 1]) }], ['Sigmoid'], ['Transpose', [], { perm: list([0, 3, 1, 2]) }]],
    ),
  },
  { name: 'Squeeze, Unsqueeze', model: chain([1, 3, 1, 5], [['Squeeze', [ints(2)]], ['Unsqueeze', [ints(0, 3)]], ['Squeeze']]) },
  {
    name: 'Gather of a token',
    model: single('Gather', [1, 6, 5], [{ type: 'int64', dims: [], data: BigInt64Array.of(0n) }], { axis: int(1) }),
  },
  { name: 'DepthToSpace', model: single('DepthToSpace', [1, 12, 3, 4], [], { blocksize: int(2) }) },
  { name: 'DepthToSpace CRD', model: single('DepthToSpace', [1, 12, 3, 4], [], { blocksize: int(2), mode: string('CRD') }) },
  { name: 'SpaceToDepth', model: single('SpaceToDepth', [1, 3, 4, 6], [], { blocksize: int(2) }) },
  {
    name: 'Resize nearest 2',
    model: single('Resize', [1, 3, 4, 5], [null, floats(1, 1, 2, 2)], {
      mode: string('nearest'),
      nearest_mode: string('floor'),
      coordinate_transformation_mode: string('asymmetric'),
    }),
  },
  { name: 'Resize nearest 3 x 2 by default modes', model: single('Resize', [1, 3, 4, 5], [null, floats(1, 1, 3, 2)]) },
  { name: 'Resize linear', model: single('Resize', [1, 3, 4, 5], [null, null, ints(1, 3, 8, 15)], { mode: string('linear') }) },
  {
    name: 'Resize linear down',
    model: single('Resize', [1, 3, 8, 12], [null, floats(1, 1, 0.5, 0.25)], {
      mode: string('linear'),
      coordinate_transformation_mode: string('pytorch_half_pixel'),
    }),
  },
  {
    name: 'Resize linear align_corners',
    model: single('Resize', [1, 3, 4, 5], [null, null, ints(1, 3, 7, 13)], {
      mode: string('linear'),
      coordinate_transformation_mode: string('align_corners'),
    }),
  },
  {
    name: 'Resize linear asymmetric',
    model: single('Resize', [1, 3, 4, 5], [null, floats(1, 1, 2, 2)], {
      mode: string('linear'),
      coordinate_transformation_mode: string('asymmetric'),
    }),
  },
  { name: 'Upsample', model: single('Upsample', [1, 3, 4, 5], [floats(1, 1, 2, 2)], {}, 9) },
  {
    name: 'shape arithmetic',
    model: modelOf({
      inputs: { x: ['batch', 3, 4, 5] },
      nodes: [
        makeNode('Shape', ['x'], ['s']),
        makeNode('Gather', ['s', 'zero'], ['n']),
        makeNode('Unsqueeze', ['n', 'axes'], ['n1']),
        makeNode('Concat', ['n1', 'rest'], ['target'], { axis: int(0) }),
        makeNode('Identity', ['x'], ['i']),
        makeNode('Reshape', ['i', 'target'], ['y']),
      ],
      constants: { zero: { type: 'int64', dims: [], data: BigInt64Array.of(0n) }, axes: ints(0), rest: ints(-1) },
    }),
  },
  { name: 'an input as output', model: modelOf({ inputs: { x: [1, 3, 4, 5] }, nodes: [makeNode('Identity', ['x'], ['y'])] }) },
  {
    name: 'one value as two outputs',
    model: modelOf({
      inputs: { x: [1, 3] },
      nodes: [makeNode('Relu', ['x'], ['y']), makeNode('Identity', ['y'], ['z'])],
      outputs: ['y', 'z'],
    }),
  },
];

export const NETWORKS: readonly ModelCase[] = [
  { name: 'small-cnn', model: small('small-cnn') },
  { name: 'mlp', model: small('mlp') },
  {
    name: 'every layer',
    model: small([
      { conv: { filters: 4, kernel: 3 } },
      'batchnorm',
      'leakyrelu',
      { conv: { filters: 8, kernel: 3, stride: 2, groups: 2, pad: 0 } },
      'sigmoid',
      { averagepool: 2 },
      { dropout: 0.1 },
      { maxpool: 1 },
      'globalaveragepool',
      'flatten',
      { dense: 6 },
      'relu',
      'classifier',
    ]),
  },
];
