import type { Layer } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { openSession } from '../session/index.ts';
import { codeOf } from '../testing/code-of.ts';
import { buildNetwork } from './build-network.ts';
import { inferShapes } from './infer-shapes.ts';
import { inspectModel } from './inspect-model.ts';
import type { NetworkPreset } from './presets.ts';
import { createRandom, shuffle, xoshiro128 } from './random.ts';
import { float32Tensor } from './tensor.ts';
import { writeModel } from './write-model.ts';

const build = (layers: readonly Layer[] | NetworkPreset, seed = 0) => buildNetwork({ layers, inputShape: [3, 16, 16], classes: 5, seed });

const EVERY_LAYER: readonly Layer[] = [
  { conv: { filters: 4, kernel: 3 } },
  'batchnorm',
  'leakyrelu',
  { conv: { filters: 8, kernel: 3, stride: 2, groups: 2, pad: 0 } },
  'sigmoid',
  { depthwise: { kernel: 3 } },
  'relu6',
  { averagepool: 2 },
  { dropout: 0.1 },
  { maxpool: 1 },
  'globalaveragepool',
  'flatten',
  { dense: 6 },
  'relu',
  'classifier',
];

describe('buildNetwork', () => {
  it.each([['small-cnn'], ['mlp'], ['mobilenet-tiny'], [EVERY_LAYER]] as const)(
    'builds a model that ONNX Runtime runs: %s',
    async (layers) => {
      const model = build(layers);
      const session = await openSession(writeModel(model));
      expect(session.inputs).toEqual([{ name: 'input', dataType: 'float32', shape: [null, 3, 16, 16] }]);
      expect(session.outputs).toEqual([{ name: 'logits', dataType: 'float32', shape: [null, 5] }]);
      const result = await session.run({ input: float32Tensor([2, 3, 16, 16], new Float32Array(2 * 3 * 256).fill(0.5)) });
      expect(result.logits?.data.every((value) => Number.isFinite(Number(value)))).toBe(true);
      expect(inferShapes(model).get('logits')?.shape).toEqual([null, 5]);
      await session.close();
    },
  );

  it('gives the same bytes for the same seed alone', () => {
    expect(writeModel(build('small-cnn', 7))).toEqual(writeModel(build('small-cnn', 7)));
    expect(writeModel(build('small-cnn', 8))).not.toEqual(writeModel(build('small-cnn', 7)));
  });

  it('flattens by itself before a dense layer', () => {
    expect(inspectModel(build(['classifier'])).opCounts).toEqual({ Flatten: 1, Gemm: 1 });
  });

  it('accepts a network that ends with one picture value per class', () => {
    expect(inspectModel(build([{ conv: { filters: 5, kernel: 3 } }, 'globalaveragepool'])).outputs[0]?.shape).toEqual([null, 5]);
  });

  it.each<[string, Layer[]]>([
    ['an end that is not one value per class', [{ dense: 4 }]],
    ['a window larger than the picture', [{ maxpool: 17 }, 'classifier']],
    ['groups that do not divide', [{ conv: { filters: 4, kernel: 3, groups: 2 } }, 'classifier']],
    ['a convolution after flattening', ['flatten', { conv: { filters: 4, kernel: 3 } }, 'classifier']],
  ])('refuses %s', (_, layers) => {
    expect(codeOf(() => build(layers))).toBe('SHAPE_MISMATCH');
  });
});

describe('inspectModel', () => {
  it('counts operators, parameters and bytes', () => {
    const model = build([{ dense: 4 }, 'relu', 'classifier']);
    expect(inspectModel(model)).toEqual({
      inputs: [{ name: 'input', dataType: 'float32', shape: [null, 3, 16, 16] }],
      outputs: [{ name: 'logits', dataType: 'float32', shape: [null, 5] }],
      opCounts: { Flatten: 1, Gemm: 2, Relu: 1 },
      parameterCount: 768 * 4 + 4 + 4 * 5 + 5,
      opset: 17,
      irVersion: 8,
      producer: 'selvedge',
      sizeBytes: writeModel(model).byteLength,
    });
  });
});

describe('createRandom', () => {
  it('follows the published algorithm', () => {
    // State and numbers of the C reference implementation, as published by the tests of xoshiro-6502.
    const next = xoshiro128(0x964d4a0c, 0xd40ab895, 0xad7fdecb, 0x3006f0f0);
    expect(Array.from({ length: 4 }, next)).toEqual([0xf1391922, 0x6fe53806, 0xa5be2840, 0xf510ee70]);
  });

  it('depends on all keys and their order', () => {
    const first = (...keys: number[]) => createRandom(...keys).uint32();
    expect(first(1, 0)).toBe(first(1, 0));
    expect(new Set([first(1), first(1, 0), first(0, 1), first(1, 1)]).size).toBe(4);
  });

  it('is uniform and normal in its first moments', () => {
    const random = createRandom(12);
    const count = 20_000;
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const uniform = Array.from({ length: count }, () => random.uniform());
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    expect(mean(uniform)).toBeCloseTo(0.5, 1);
    const normal = Array.from({ length: count }, () => random.normal());
    expect(mean(normal)).toBeCloseTo(0, 1);
    expect(mean(normal.map((value) => value ** 2))).toBeCloseTo(1, 1);
  });

  it('shuffles into a permutation', () => {
    const values = Array.from({ length: 100 }, (_, i) => i);
    shuffle(values, createRandom(3));
    expect(values).not.toEqual(values.toSorted((a, b) => a - b));
    expect(new Set(values).size).toBe(100);
  });
});
