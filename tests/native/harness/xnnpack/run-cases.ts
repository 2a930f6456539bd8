import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type IrGraph, type IrPort, lowerModel } from '@selvedge/graph/lower';
import { createRandom, elementCount, float32Tensor, writeModel } from '@selvedge/graph/onnx';
import { openSession } from '@selvedge/graph/session';
import { generateXnnpack } from '../../../../packages/tools/src/build/xnnpack/index.ts';
import type { ModelCase } from './model-case.ts';

/** A case that is ready to be compiled and run. */
export interface PreparedCase {
  readonly name: string;
  readonly graph: IrGraph;
  /** ONNX Runtime's results, in the order of the model's outputs. */
  readonly expected: readonly Float32Array[];
  /** What the linker may leave out when this is the only model. */
  readonly linkerFlags: readonly string[];
  readonly tolerance: number;
  /** Differences count in steps of this size instead. */
  readonly step: number | undefined;
}

/** [C, H, W] of each batch entry to [H, W, C], or back. */
function reordered(values: Float32Array, port: IrPort, toMemory: boolean): Float32Array {
  if (port.order === 'asShape') return values;
  const [n = 1, c = 1, h = 1, w = 1] = port.shape;
  const plane = h * w;
  const result = new Float32Array(values.length);
  for (let image = 0; image < n; image++) {
    for (let channel = 0; channel < c; channel++) {
      for (let at = 0; at < plane; at++) {
        const asShape = (image * c + channel) * plane + at;
        const inMemory = (image * plane + at) * c + channel;
        if (toMemory) result[inMemory] = values[asShape] ?? 0;
        else result[asShape] = values[inMemory] ?? 0;
      }
    }
  }
  return result;
}

function inputValues(port: IrPort, seed: number, range: ModelCase['range']): Float32Array {
  const random = createRandom(seed, port.value);
  const [low, high] = range ?? [0, 0];
  return Float32Array.from({ length: elementCount(port.shape) }, () => (range ? low + random.uniform() * (high - low) : random.normal()));
}

async function reference(model: ModelCase['model'], graph: IrGraph, inputs: readonly Float32Array[]): Promise<Float32Array[]> {
  const session = await openSession(writeModel(model));
  const feeds = graph.inputs.map((port, i) => [port.name, float32Tensor(port.shape, inputs[i] ?? new Float32Array())]);
  const results = await session.run(Object.fromEntries(feeds));
  const values = graph.outputs.map((port) => results[port.name]?.data);
  const copies = values.map((data) => (data instanceof Float32Array ? data.slice() : new Float32Array()));
  await session.close();
  return copies;
}

/**
 * Lowers the cases, writes their weights and inputs to FOLDER/<i>.*, and gives the C++ of all of them as one file with the
 * table that native/tests/xnnpack_cases.cc runs.
 */
export async function prepareCases(cases: readonly ModelCase[], folder: string): Promise<{ source: string; prepared: PreparedCase[] }> {
  const prepared: PreparedCase[] = [];
  const sources: string[] = [];
  for (const [i, { name, model, tolerance = 1e-4, range, step, precision = 'fp32' }] of cases.entries()) {
    const lowered = lowerModel(model);
    if ('unsupported' in lowered) throw new Error(`${name}: ${JSON.stringify(lowered.unsupported)}`);
    const { graph } = lowered;
    const code = generateXnnpack(graph, { symbol: `kCase${i}`, precision });
    sources.push(code.source);
    const inputs = graph.inputs.map((port) => inputValues(port, i, range));
    const inMemory = graph.inputs.map((port, k) => Buffer.from(reordered(inputs[k] ?? new Float32Array(), port, true).buffer));
    await writeFile(join(folder, `${i}.weights`), Buffer.concat(code.weights));
    await writeFile(join(folder, `${i}.in`), Buffer.concat(inMemory));
    prepared.push({
      name,
      graph,
      linkerFlags: code.linkerFlags,
      expected: await reference(model, graph, inputs),
      tolerance: step ? 2.01 : tolerance,
      step,
    });
  }
  const table = cases.map((_, i) => `&kCase${i}`).join(', ');
  sources.push(
    'namespace selvedge::xnnpack {',
    `extern const ModelSpec* const kCases[] = {${table}};`,
    `extern const size_t kCaseCount = ${cases.length};`,
    '}  // namespace selvedge::xnnpack',
    '',
  );
  return { source: sources.join('\n'), prepared };
}

/** Difference of the case's results from the expected ones, relative to the largest value or in quantisation steps; Infinity when there is none. */
export async function worstDifference(one: PreparedCase, at: number, folder: string): Promise<number> {
  const bytes = await readFile(join(folder, `${at}.out`)).catch(() => undefined);
  if (!bytes) return Infinity;
  let worst = 0;
  let offset = 0;
  for (const [i, port] of one.graph.outputs.entries()) {
    const expected = one.expected[i] ?? new Float32Array();
    const raw = new Float32Array(new Uint8Array(bytes.subarray(offset, offset + expected.byteLength)).buffer);
    offset += expected.byteLength;
    const actual = reordered(raw, port, false);
    const scale = one.step ?? expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    if (actual.length !== expected.length || expected.length === 0) return Infinity;
    for (const [k, value] of expected.entries()) {
      const difference = Math.abs((actual[k] ?? Number.NaN) - value) / scale;
      worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    }
  }
  return worst;
}
