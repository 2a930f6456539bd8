import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelLineage, Run } from '@selvedge/contract';
import { readModel } from '@selvedge/graph/onnx';
import { afterEach, describe, expect, it } from 'vitest';
import type { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { startTrained } from './harness/trained.ts';

describe('a run that fine-tunes a version of the registry', () => {
  let product: Product;
  afterEach(() => product.stop());

  /** The ONNX file of a version, the bytes of each of its weights, and which of them belong to nodes called gemm…. */
  async function versionOf(version: string) {
    const api = await product.api();
    const response = await api.stream('downloadModel', { params: { name: 'digits', version } });
    const file = Buffer.from(await new Response(response.body as ReadableStream).arrayBuffer());
    const { graph } = readModel(file);
    const weights = new Map(
      [...graph.initializers].map(([name, { data }]) => [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]),
    );
    const trained = graph.nodes
      .filter((node) => node.name.startsWith('gemm'))
      .flatMap((node) => node.inputs.filter((name) => weights.has(name)));
    return { sha256: createHash('sha256').update(file).digest('hex'), weights, trained };
  }

  it('leaves the weights that no pattern matches bit for bit as they were, and names its parent', async () => {
    product = await startTrained();
    const before = await versionOf('1');
    const names = [...before.weights.keys()];
    expect(before.trained.length).toBeGreaterThan(0);
    expect(names.length).toBeGreaterThan(before.trained.length);

    const file = join(product.dir, 'finer.json');
    await writeFile(file, JSON.stringify({ ...SMALL_PIPELINE, train: { from: 'digits:1', trainable: ['gemm*'] } }));
    await product.cliJson(['apply', '-f', file, '--name', 'finer']);
    const run = await product.cliJson<Run>(['pipeline', 'run', 'finer', '--watch']);
    expect(run.status).toMatchObject({ phase: 'Succeeded', modelVersion: 'digits/2' });

    const after = await versionOf('2');
    expect([...after.weights.keys()].sort()).toEqual(names.sort());
    const changed = names.filter((name) => !before.weights.get(name)?.equals(after.weights.get(name) ?? Buffer.of()));
    expect(changed.sort()).toEqual(before.trained.sort());

    const lineage = await product.cliJson<ModelLineage>(['model', 'lineage', 'digits:2']);
    expect(lineage.origin).toMatchObject({
      run: run.metadata.name,
      models: { 'digits:1': before.sha256 },
      parameters: { train: { from: 'digits:1', trainable: ['gemm*'] } },
    });
  });
});
