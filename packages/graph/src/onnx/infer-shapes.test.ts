import { AppError } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSession } from '../session/index.ts';
import { IR_VERSION, OPSET } from './build-network.ts';
import { inferShapes, SHAPED_OPS } from './infer-shapes.ts';
import { type Attributes, attribute, type Dim, type Model, makeNode, type TensorData } from './model.ts';
import { elementCount, float32Tensor, int64Tensor } from './tensor.ts';
import { writeModel } from './write-model.ts';

const { int, ints, string } = attribute;
const floats = (...values: number[]) => float32Tensor([values.length], Float32Array.from(values));
const zeros = (...dims: number[]) => float32Tensor(dims, new Float32Array(elementCount(dims)));

/** One node on the input "x"; further inputs are initializers. */
function single(op: string, x: readonly Dim[], rest: readonly TensorData[] = [], attributes: Attributes = {}, outputs = ['y']): Model {
  const names = rest.map((_, i) => `i${i}`);
  return {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    graph: {
      name: 'g',
      nodes: [makeNode(op, ['x', ...names], outputs, attributes, 'the-node')],
      initializers: new Map(rest.map((tensor, i) => [names[i] ?? '', tensor])),
      inputs: [{ name: 'x', type: 'float32', shape: x }],
      outputs: [{ name: 'y', type: 'float32', shape: null }],
    },
    metadata: {},
  };
}

const shapeOf = (model: Model) => inferShapes(model).get('y')?.shape;

function failure(model: Model): AppError {
  try {
    inferShapes(model);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the shapes were accepted');
}

describe('inferShapes', () => {
  it.each<[string, Model, (number | null)[]]>([
    [
      'Conv',
      single('Conv', ['N', 3, 8, 9], [zeros(4, 3, 3, 3), zeros(4)], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
      [null, 4, 4, 5],
    ],
    [
      'Conv with groups and dilations',
      single('Conv', [2, 4, 9, 9], [zeros(4, 2, 3, 3)], { group: int(2), dilations: ints([2, 2]) }),
      [2, 4, 5, 5],
    ],
    [
      'Conv SAME_LOWER',
      single('Conv', ['N', 1, 7, 7], [zeros(2, 1, 3, 3)], { auto_pad: string('SAME_LOWER'), strides: ints([2, 2]) }),
      [null, 2, 4, 4],
    ],
    ['MaxPool', single('MaxPool', ['N', 3, 7, 7], [], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }), [null, 3, 3, 3]],
    [
      'MaxPool rounding up',
      single('MaxPool', ['N', 3, 7, 7], [], { kernel_shape: ints([2, 2]), strides: ints([2, 2]), ceil_mode: int(1) }),
      [null, 3, 4, 4],
    ],
    ['AveragePool', single('AveragePool', ['N', 3, 7, 7], [], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) }), [null, 3, 7, 7]],
    ['GlobalAveragePool', single('GlobalAveragePool', ['N', 3, 7, 7]), [null, 3, 1, 1]],
    ['BatchNormalization', single('BatchNormalization', ['N', 3, 7], [zeros(3), zeros(3), zeros(3), zeros(3)]), [null, 3, 7]],
    ['Gemm', single('Gemm', ['N', 6], [zeros(5, 6), zeros(5)], { transB: int(1) }), [null, 5]],
    ['MatMul', single('MatMul', ['N', 4, 6], [zeros(6, 2)]), [null, 4, 2]],
    ['Add', single('Add', ['N', 3, 1], [zeros(3, 5)]), [null, 3, 5]],
    ['Flatten', single('Flatten', ['N', 3, 4]), [null, 12]],
    ['Flatten at 0', single('Flatten', [2, 3, 4], [], { axis: int(0) }), [1, 24]],
    ['Reshape with 0 and -1', single('Reshape', ['N', 3, 4], [int64Tensor([0, -1])]), [null, 12]],
    ['Reshape with the batch as -1', single('Reshape', ['N', 3, 4], [int64Tensor([-1, 12])]), [null, 12]],
    ['Transpose', single('Transpose', ['N', 3, 4], [], { perm: ints([2, 0, 1]) }), [4, null, 3]],
    ['Concat', single('Concat', [2, 3], [zeros(2, 4), zeros(2, 1)], { axis: int(-1) }), [2, 8]],
    ['Softmax', single('Softmax', ['N', 4], [], { axis: int(-1) }), [null, 4]],
    ['Dropout', single('Dropout', ['N', 4]), [null, 4]],
    ['Clip', single('Clip', ['N', 4]), [null, 4]],
    [
      'ConvTranspose',
      single('ConvTranspose', ['N', 4, 5, 6], [zeros(4, 3, 3, 3)], {
        strides: ints([2, 2]),
        pads: ints([1, 1, 1, 1]),
        output_padding: ints([1, 0]),
      }),
      [null, 3, 10, 11],
    ],
    [
      'ConvTranspose to a size',
      single('ConvTranspose', ['N', 4, 5, 6], [zeros(4, 3, 3, 3)], { strides: ints([2, 2]), output_shape: ints([10, 12]) }),
      [null, 3, 10, 12],
    ],
    ['GlobalMaxPool', single('GlobalMaxPool', ['N', 3, 7, 7]), [null, 3, 1, 1]],
    ['PRelu', single('PRelu', ['N', 3, 4], [zeros(3, 1)]), [null, 3, 4]],
    ['Pow', single('Pow', ['N', 3], [int64Tensor([2])]), [null, 3]],
    ['Max of three', single('Max', ['N', 1], [zeros(3), zeros(2, 1, 1)]), [2, null, 3]],
    [
      'Slice',
      single('Slice', ['N', 6, 8], [int64Tensor([1, -5]), int64Tensor([1000, -1]), int64Tensor([1, 2]), int64Tensor([2, 1])]),
      [null, 3, 4],
    ],
    [
      'Slice backwards',
      single('Slice', ['N', 6], [int64Tensor([-1]), int64Tensor([-1000]), int64Tensor([1]), int64Tensor([-2])]),
      [null, 3],
    ],
    ['Pad', single('Pad', ['N', 3, 4], [int64Tensor([0, 1, -1, 0, 2, 0])]), [null, 6, 3]],
    ['Squeeze', single('Squeeze', ['N', 1, 4], [int64Tensor([1])]), [null, 4]],
    ['Unsqueeze', single('Unsqueeze', ['N', 4], [int64Tensor([-1, 1])]), [null, 1, 4, 1]],
    ['Resize by scales', single('Resize', ['N', 3, 4, 5], [zeros(0), floats(1, 1, 2, 1.5)]), [null, 3, 8, 7]],
    ['Resize to sizes', single('Resize', ['N', 3, 4, 5], [zeros(0), zeros(0), int64Tensor([1, 3, 9, 2])]), [null, 3, 9, 2]],
    ['DepthToSpace', single('DepthToSpace', ['N', 12, 3, 4], [], { blocksize: int(2) }), [null, 3, 6, 8]],
    ['SpaceToDepth', single('SpaceToDepth', ['N', 3, 4, 6], [], { blocksize: int(2) }), [null, 12, 2, 3]],
    ['ReduceMean', single('ReduceMean', ['N', 3, 4, 5], [], { axes: ints([-1, 2]), keepdims: int(0) }), [null, 3]],
    ['ReduceSum of all', single('ReduceSum', ['N', 3]), [1, 1]],
    ['Shape', single('Shape', ['N', 3, 4]), [3]],
    ['Gather', single('Gather', ['N', 3, 4], [int64Tensor([0, 2])], { axis: int(1) }), [null, 2, 4]],
    ['Expand', single('Expand', ['N', 1], [int64Tensor([1, 4])]), [null, 4]],
    ['LayerNormalization', single('LayerNormalization', ['N', 3, 4], [zeros(4)]), [null, 3, 4]],
    ['QuantizeLinear', single('QuantizeLinear', ['N', 3], [zeros()]), [null, 3]],
    ['Cast', single('Cast', ['N', 3], [], { to: int(7) }), [null, 3]],
  ])('%s', (_, model, expected) => {
    expect(shapeOf(model)).toEqual(expected);
  });

  it('gives every part of a Split its shape', () => {
    const model = single('Split', ['N', 7], [], { axis: int(1) }, ['y', 'z']);
    expect([shapeOf(model), inferShapes(model).get('z')?.shape]).toEqual([
      [null, 4],
      [null, 3],
    ]);
  });

  it('binds the open batch when asked', () => {
    expect(inferShapes(single('Flatten', ['N', 3, 4]), { batch: 7 }).get('y')?.shape).toEqual([7, 12]);
  });

  it('names an unsupported operator, its node and the supported ones', () => {
    const error = failure(single('NonZero', [2]));
    expect(error.code).toBe('OP_UNSUPPORTED');
    expect(error.message).toContain('NonZero "the-node"');
    expect(error.details.hint).toContain(SHAPED_OPS.join(', '));
  });

  it('refuses the same name in another domain', () => {
    const model = single('Relu', [2]);
    const nodes = model.graph.nodes.map((node) => ({ ...node, domain: 'com.example' }));
    expect(failure({ ...model, graph: { ...model.graph, nodes } }).code).toBe('OP_UNSUPPORTED');
  });

  it.each([
    ['channels', single('Conv', ['N', 3, 8, 8], [zeros(4, 2, 3, 3)])],
    ['inner sizes', single('Gemm', ['N', 6], [zeros(5, 6)])],
    ['broadcast', single('Add', ['N', 3], [zeros(4)])],
    ['a window larger than the picture', single('MaxPool', ['N', 3, 4, 4], [], { kernel_shape: ints([5, 5]) })],
    ['element counts', single('Reshape', [2, 3], [int64Tensor([4, 2])])],
    ['a permutation', single('Transpose', [2, 3], [], { perm: ints([0, 0]) })],
    ['ranks', single('Concat', [2, 3], [zeros(2)], { axis: int(0) })],
  ])('names node and shapes when %s do not fit', (_, model) => {
    const error = failure(model);
    expect(error.code).toBe('SHAPE_MISMATCH');
    expect(error.message).toContain('"the-node"');
    expect(error.message).toMatch(/x \[[\d?, ]+\]/);
  });

  it('says what ONNX Runtime computes, for any window', async () => {
    const size = fc.integer({ min: 1, max: 9 });
    const windows = fc.record({
      op: fc.constantFrom('Conv', 'MaxPool', 'AveragePool'),
      height: size,
      width: size,
      kernel: fc.integer({ min: 1, max: 4 }),
      stride: fc.integer({ min: 1, max: 3 }),
      before: fc.nat(2),
      after: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(windows, async ({ op, height, width, kernel, stride, before, after }) => {
        fc.pre(before < kernel && after < kernel && Math.min(height, width) + before + after >= kernel);
        const attributes = {
          kernel_shape: ints([kernel, kernel]),
          strides: ints([stride, stride]),
          pads: ints([before, before, after, after]),
        };
        const model = single(op, ['N', 1, height, width], op === 'Conv' ? [zeros(2, 1, kernel, kernel)] : [], attributes);
        const session = await openSession(writeModel(model));
        const result = await session.run({ x: zeros(3, 1, height, width) });
        await session.close();
        expect(inferShapes(model, { batch: 3 }).get('y')?.shape).toEqual(result.y?.dims);
      }),
      { numRuns: 60 },
    );
  });
});
