import { AppError } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildNetwork } from './build-network.ts';
import { inferShapes } from './infer-shapes.ts';
import { type Attribute, attribute, type Model, makeNode, type TensorData } from './model.ts';
import { encodeModel, type RawModel, type RawTensor } from './proto.ts';
import { readModel } from './read-model.ts';
import { float32Tensor, int64Tensor } from './tensor.ts';
import { writeModel } from './write-model.ts';

const network = buildNetwork({ layers: 'small-cnn', inputShape: [1, 12, 12], classes: 3, seed: 1 });

function failure(bytes: Uint8Array): AppError {
  try {
    readModel(bytes);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the model was accepted');
}

/** x -> Relu -> y with one initializer, as it comes from the wire. */
function raw(change: Partial<NonNullable<RawModel['graph']>> = {}, initializer?: RawTensor): Uint8Array {
  const info = (name: string) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'N' }, { dimValue: 2 }] } } } });
  return encodeModel({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      node: [{ input: ['x'], output: ['y'], opType: 'Relu' }],
      input: [info('x')],
      output: [info('y')],
      initializer: initializer ? [initializer] : [],
      ...change,
    },
  });
}

describe('readModel and writeModel', () => {
  it('give back an equal model, and equal bytes', () => {
    const bytes = writeModel(network);
    const read = readModel(bytes);
    expect(read).toEqual(network);
    expect(writeModel(read)).toEqual(bytes);
  });

  it('keep attributes, metadata and tensors of every kind', () => {
    const attributes: fc.Arbitrary<Attribute> = fc.oneof(
      fc.float({ noNaN: true }).map(attribute.float),
      fc.maxSafeInteger().map(attribute.int),
      fc.string({ unit: 'grapheme' }).map(attribute.string),
      fc.array(fc.maxSafeInteger()).map(attribute.ints),
      fc.array(fc.float({ noNaN: true })).map((value): Attribute => ({ kind: 'floats', value })),
      fc.array(fc.string()).map((value): Attribute => ({ kind: 'strings', value })),
      fc.float32Array().map((data): Attribute => ({ kind: 'tensor', value: float32Tensor([data.length], data) })),
    );
    const tensors: fc.Arbitrary<TensorData> = fc.oneof(
      fc.float32Array().map((data) => float32Tensor([data.length], data)),
      fc.bigInt64Array().map((data): TensorData => ({ type: 'int64', dims: [1, data.length], data })),
      fc.uint8Array().map((data): TensorData => ({ type: 'uint8', dims: [data.length], data })),
      fc.uint16Array().map((data): TensorData => ({ type: 'float16', dims: [data.length], data })),
      fc.float64Array().map((data): TensorData => ({ type: 'float64', dims: [data.length, 1], data })),
    );
    const names = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(
        fc.dictionary(names, attributes),
        fc.dictionary(names, tensors),
        fc.dictionary(names, fc.string()),
        (given, initializers, metadata) => {
          const model: Model = {
            ...network,
            metadata: { ...metadata },
            graph: {
              ...network.graph,
              nodes: [makeNode('Custom', ['\u0000x'], ['\u0000y'], { ...given }, 'n')],
              initializers: new Map(Object.entries(initializers)),
              inputs: [{ name: '\u0000x', type: 'int8', shape: null }],
              outputs: [{ name: '\u0000y', type: 'float16', shape: [null, 'H', 3] }],
            },
          };
          const read = readModel(writeModel(model));
          expect(read.graph.initializers).toEqual(model.graph.initializers);
          expect(read.graph.nodes[0]?.attributes).toEqual({ ...given });
          expect(read.metadata).toEqual({ ...metadata });
          expect(read.graph.outputs).toEqual(model.graph.outputs);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('accept values in the typed fields as well as raw ones', () => {
    const read = (tensor: RawTensor) => readModel(raw({}, { name: 'w', dims: [2], ...tensor })).graph.initializers.get('w');
    expect(read({ dataType: 1, floatData: [1.5, -2] })).toEqual(float32Tensor([2], Float32Array.of(1.5, -2)));
    expect(read({ dataType: 7, int64Data: [-1, 5] })).toEqual(int64Tensor([-1, 5]));
    expect(read({ dataType: 3, int32Data: [-1, 5] })).toEqual({ type: 'int8', dims: [2], data: Int8Array.of(-1, 5) });
  });

  it('do not copy large tensors on reading where they are aligned', () => {
    const bytes = writeModel(network);
    const shared = [...readModel(bytes).graph.initializers.values()].filter((tensor) => tensor.data.buffer === bytes.buffer);
    const aligned = [...readModel(bytes).graph.initializers.values()].filter((tensor) => tensor.data.byteOffset > 0);
    expect(shared.length).toBe(aligned.length);
  });
});

describe('readModel refuses', () => {
  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', new TextEncoder().encode('this is not a model')],
    ['a cut-off model', writeModel(network).subarray(0, 5000)],
    ['a node without operator', raw({ node: [{ input: ['x'], output: ['y'] }] })],
    ['a use of a missing value', raw({ node: [{ input: ['nothing'], output: ['y'], opType: 'Relu' }] })],
    ['a value made twice', raw({ node: [1, 2].map(() => ({ input: ['x'], output: ['y'], opType: 'Relu' })) })],
    ['an output that nothing makes', raw({ node: [] })],
    ['data of the wrong length', raw({}, { name: 'w', dims: [3], dataType: 1, rawData: new Uint8Array(8) })],
    ['too few values', raw({}, { name: 'w', dims: [3], dataType: 1, floatData: [1] })],
    ['a negative size', raw({}, { name: 'w', dims: [-3], dataType: 1, floatData: [] })],
    ['an astronomical size', raw({}, { name: 'w', dims: [2 ** 40, 2 ** 40], dataType: 1, floatData: [] })],
  ])('%s', (_, bytes) => {
    expect(failure(bytes).code).toBe('MODEL_INVALID');
  });

  it('tensors in other files, saying how to avoid them', () => {
    const error = failure(
      raw({}, { name: 'w', dims: [2], dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: '/etc/passwd' }] }),
    );
    expect(error.code).toBe('MODEL_INVALID');
    expect(error.details.hint).toContain('one file');
  });

  it('data types that have no equivalent', () => {
    expect(failure(raw({}, { name: 'w', dims: [1], dataType: 8 })).code).toBe('OP_UNSUPPORTED');
  });

  it('anything that is no model, without another error', () => {
    const settles = (bytes: Uint8Array): boolean => {
      try {
        inferShapes(readModel(bytes));
        return true;
      } catch (error) {
        return error instanceof AppError;
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), settles), { numRuns: 500 });
    const valid = writeModel(
      buildNetwork({
        layers: [{ conv: { filters: 2, kernel: 3 } }, 'batchnorm', 'classifier'],
        inputShape: [1, 4, 4],
        classes: 2,
        seed: 0,
      }),
    );
    const changes = fc.array(fc.record({ at: fc.nat(valid.length - 1), to: fc.nat(255) }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(changes, (edits) => {
        const bytes = Uint8Array.from(valid);
        for (const { at, to } of edits) bytes[at] = to;
        return settles(bytes);
      }),
      { numRuns: 1000 },
    );
  });
});
