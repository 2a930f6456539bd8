import { lowerModel } from '@selvedge/graph/lower';
import { buildNetwork } from '@selvedge/graph/onnx';
import { describe, expect, it } from 'vitest';
import { unusedKernelFlags, unusedKernels } from './unused-kernels.ts';

function graphOf(layers: Parameters<typeof buildNetwork>[0]['layers']) {
  const lowered = lowerModel(buildNetwork({ layers, inputShape: [1, 8, 8], classes: 3, seed: 1 }));
  if (!('graph' in lowered)) throw new Error('It should be lowered');
  return lowered.graph;
}

describe('unusedKernels', () => {
  it('drops other data types and unary operators, and keeps what the model uses', () => {
    const graph = graphOf([{ conv: { filters: 4, kernel: 3 } }, 'sigmoid', 'flatten', 'classifier']);
    const unused = unusedKernels(graph, 'fp32');
    expect(unused).toEqual(expect.arrayContaining(['qu8_gemm', 'qs8_qc8w_gemm', 'f16_gemm', 'f32_tanh']));
    expect(unused).not.toContain('f32_sigmoid');
    expect(unused).not.toContain('unary_reference');
  });

  it('keeps half precision for fp16, and drops the reference operators where there is none', () => {
    const graph = graphOf([{ conv: { filters: 4, kernel: 3 } }, 'relu', 'flatten', 'classifier']);
    expect(unusedKernels(graph, 'fp16')).not.toContain('f16_gemm');
    expect(unusedKernels(graph, 'fp32')).toContain('unary_reference');
  });
});

it('wraps each function once', () => {
  expect(unusedKernelFlags(['qu8_gemm'])).toEqual([
    '-Wl,--wrap=xnn_init_qu8_gemm_config',
    '-Wl,--defsym=__wrap_xnn_init_qu8_gemm_config=selvedgeNoConfig',
  ]);
});
