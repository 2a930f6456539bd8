import type { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import {
  type Attributes,
  attribute,
  createRandom,
  float32Tensor,
  type Model,
  makeNode,
  type Node,
  opsetOf,
  type TensorData,
  writeModel,
} from '../onnx/index.ts';
import { openSession } from '../session/index.ts';
import { raiseOpset } from './index.ts';

const DIMS = [2, 4, 3, 6];

function oneNode(opset: number, op: string, attributes: Attributes, constants: readonly TensorData[] = [], outputs = 1): Model {
  const names = constants.map((_, i) => `c${i}`);
  const results = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const node: Node = makeNode(op, ['x', ...names], results, attributes, 'node');
  return {
    irVersion: 6,
    producer: 'test',
    opsets: [{ domain: '', version: opset }],
    graph: {
      name: 'one',
      nodes: [node],
      initializers: new Map(constants.map((tensor, i) => [`c${i}`, tensor])),
      inputs: [{ name: 'x', type: 'float32', shape: DIMS }],
      outputs: results.map((name) => ({ name, type: 'float32', shape: null })),
    },
    metadata: {},
  };
}

async function outputs(model: Model): Promise<Record<string, TensorData>> {
  const random = createRandom(2);
  const session = await openSession(writeModel(model));
  const results = await session.run({
    x: float32Tensor(
      DIMS,
      Float32Array.from({ length: 144 }, () => random.normal()),
    ),
  });
  await session.close();
  return results;
}

const { int, ints, float, string } = attribute;
const scales = [1, 1, 2, 3];
const channel = (): TensorData => float32Tensor([4], Float32Array.of(1, 2, 3, 4));
const BATCH_NORM = [channel(), channel(), channel(), channel()];

describe('raiseOpset', () => {
  it.each([
    ['Clip', 7, oneNode(7, 'Clip', { min: float(-0.5) })],
    ['Clip without bounds', 10, oneNode(10, 'Clip', {})],
    ['Softmax over the last axis', 11, oneNode(11, 'Softmax', { axis: int(3) })],
    ['Softmax over several axes', 11, oneNode(11, 'Softmax', {})],
    ['LogSoftmax over several axes', 9, oneNode(9, 'LogSoftmax', { axis: int(2) })],
    ['Squeeze', 11, oneNode(11, 'Unsqueeze', { axes: ints([1]) })],
    ['ReduceSum', 9, oneNode(9, 'ReduceSum', { axes: ints([1, 3]), keepdims: int(0) })],
    ['ReduceSum over all axes', 11, oneNode(11, 'ReduceSum', {})],
    ['Split', 11, oneNode(11, 'Split', { axis: int(1), split: ints([1, 3]) }, [], 2)],
    ['Split in equal parts', 11, oneNode(11, 'Split', { axis: int(3) }, [], 3)],
    ['Pad', 10, oneNode(10, 'Pad', { pads: ints([0, 0, 1, 2, 0, 0, 0, 1]), value: float(0.5) })],
    ['Slice', 9, oneNode(9, 'Slice', { starts: ints([1, -3]), ends: ints([3, 100]), axes: ints([1, 3]) })],
    ['Upsample with an attribute', 7, oneNode(7, 'Upsample', { scales: { kind: 'floats', value: scales }, mode: string('nearest') })],
    ['Upsample with an input', 9, oneNode(9, 'Upsample', { mode: string('linear') }, [float32Tensor([4], Float32Array.from(scales))])],
    ['Resize', 10, oneNode(10, 'Resize', { mode: string('linear') }, [float32Tensor([4], Float32Array.from(scales))])],
    ['BatchNormalization', 7, oneNode(7, 'BatchNormalization', { spatial: int(1) }, BATCH_NORM)],
    ['Dropout', 10, oneNode(10, 'Dropout', { ratio: float(0.3) })],
    ['AveragePool', 7, oneNode(7, 'AveragePool', { kernel_shape: ints([2, 2]), strides: ints([1, 2]) })],
  ])('leaves what %s of opset %i computes', async (_, __, model) => {
    const raised = raiseOpset(model);
    expect(opsetOf(raised)).toBe(13);
    expect(await outputs(raised)).toEqual(await outputs(model));
  });

  it('leaves opset 13 and later alone', () => {
    const model = oneNode(17, 'Relu', {});
    expect(raiseOpset(model)).toBe(model);
  });

  it.each([
    ['an operator that it does not know', oneNode(11, 'Hardmax', {}), /Hardmax "node"/],
    ['normalization per position', oneNode(8, 'BatchNormalization', { spatial: int(0) }, BATCH_NORM), /spatial/],
    ['an opset that is too old', oneNode(6, 'Relu', {}), /opset 6/],
  ])('refuses %s', (_, model, message) => {
    expect(() => raiseOpset(model)).toThrow(message);
    try {
      raiseOpset(model);
    } catch (error) {
      expect((error as AppError).code).toBe('OP_UNSUPPORTED');
    }
  });
});
