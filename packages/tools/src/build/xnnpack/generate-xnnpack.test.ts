import { type IrGraph, lowerModel } from '@selvedge/graph/lower';
import { buildNetwork, type Model } from '@selvedge/graph/onnx';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateXnnpack, stringLiteral } from './generate-xnnpack.ts';
import { floatText } from './operation-text.ts';

function graphOf(model: Model): IrGraph {
  const lowered = lowerModel(model);
  return 'graph' in lowered ? lowered.graph : expect.fail(JSON.stringify(lowered.unsupported));
}

const network = (seed = 1) => buildNetwork({ layers: 'small-cnn', inputShape: [3, 16, 16], classes: 5, seed });

/** The model with every value under another name. */
function renamed(model: Model, prefix: string): Model {
  const name = (old: string) => (old === '' ? '' : prefix + old);
  const { nodes, initializers, inputs, outputs } = model.graph;
  return {
    ...model,
    graph: {
      ...model.graph,
      nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(name), outputs: node.outputs.map(name) })),
      initializers: new Map([...initializers].map(([key, tensor]) => [name(key), tensor])),
      inputs: inputs.map((info) => ({ ...info, name: name(info.name) })),
      outputs: outputs.map((info) => ({ ...info, name: name(info.name) })),
    },
  };
}

describe('generateXnnpack', () => {
  it('writes names from the model as data, whatever they contain', () => {
    const { source } = generateXnnpack(graphOf(renamed(network(), '"); system("x") // \\\n*/ ??/ é')));
    expect(source).toContain('"\\042); system(\\042x\\042) // \\134\\012*/ \\077\\077/ \\303\\251input"');
    expect(source.split('\n').filter((line) => line.includes('system'))).toHaveLength(2 + graphOf(network()).ops.length);
    for (const line of source.split('\n')) expect(line.endsWith('\\')).toBe(false);
  });

  it('writes weights at multiples of 64 with room behind them, and a header with the digest', () => {
    const graph = graphOf(network());
    const { weights, weightsBytes, digest } = generateXnnpack(graph);
    const file = Buffer.concat(weights);
    expect(file.subarray(0, 8).toString('latin1')).toBe('SLVGWTS\0');
    expect(file.readUInt32LE(8)).toBe(1);
    expect(file.readBigUInt64LE(16)).toBe(BigInt(weightsBytes));
    expect(file.subarray(24, 56).toString('hex')).toBe(digest);
    const last = graph.values.findLast((value) => value.constant?.type === 'float32')?.constant?.values ?? new Float32Array();
    const bytes = Buffer.from(last.buffer, last.byteOffset, last.byteLength);
    expect(file.indexOf(bytes) % 64).toBe(0);
    expect(file.length - file.indexOf(bytes) - bytes.length).toBeGreaterThanOrEqual(128);
  });

  it('leaves out the kernels of formats and operators that the model does not use', () => {
    const { linkerFlags } = generateXnnpack(graphOf(network()));
    const leavesOut = (name: string) => linkerFlags.includes(`-Wl,--defsym=xnn_init_${name}_config=selvedgeNoKernel`);
    expect(['qu8_gemm', 'qs8_qc8w_gemm', 'f16_gemm', 'f32_gelu'].map(leavesOut)).toEqual([true, true, true, true]);
    expect(['f32_gemm', 'f32_clamp', 'f32_maxpool'].map(leavesOut)).toEqual([false, false, false]);
    const half = generateXnnpack(graphOf(network()), { precision: 'fp16' });
    expect(half.linkerFlags.some((flag) => flag.includes('xnn_init_f16_'))).toBe(false);
  });
});

describe('literals', () => {
  it('are the float that was meant', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = floatText(value);
        expect(text).toMatch(/^-?\d+(\.\d+)?(e[+-]\d+)?f$/);
        expect(Math.fround(Number(text.slice(0, -1)))).toBe(value);
      }),
    );
    expect([floatText(Infinity), floatText(-Infinity), floatText(6)]).toEqual(['kInf', '-kInf', '6.0f']);
  });

  it('are strings of printable ASCII without quotes, backslashes and question marks but in escapes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(stringLiteral(text)).toMatch(/^"(?:[ !#->@-[\]-~]|\\[0-7]{3})*"$/);
      }),
    );
  });
});
