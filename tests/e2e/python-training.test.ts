import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Product, ROOT } from './harness/product.ts';
import { startTrained } from './harness/trained.ts';

const FOLDER = 'examples/digits/python';

describe.runIf(spawnSync('python3', ['--version']).status === 0)('a training in Python', () => {
  let product: Product;
  beforeAll(async () => {
    product = await startTrained();
  });
  afterAll(() => product.stop());

  it('goes from the pipeline file to a version that a device serves', async () => {
    await product.cliJson(['apply', '-f', join(FOLDER, 'pipeline.json'), '--name', 'digits-python']);
    const run = await product.cli(['pipeline', 'run', 'digits-python', '--watch']);
    expect(run.code, run.stdout + run.stderr).toBe(0);
    const api = await product.api();
    const version = await api.getResource({ params: { plural: 'modelversions', name: 'digits-python.v1' } });
    if (version.kind !== 'ModelVersion') throw new Error(version.kind);
    // 500 pictures, ten classes: chance is 0.1.
    expect(version.spec.metrics.accuracy).toBeGreaterThan(0.4);
    expect(version.spec.metrics['validation/accuracy']).toBeGreaterThan(0);
    const digest = sha256Hex(await readFile(join(ROOT, FOLDER, 'train.py')));
    expect(version.spec.lineage?.parameters.train).toMatchObject({ engine: 'python', script: { path: 'train.py', sha256: digest } });
    await product.startAgent('edge-1');
    const deployment = {
      apiVersion: 'selvedge.dev/v1alpha1',
      kind: 'InferenceModel',
      metadata: { name: 'digits-python' },
      spec: {
        modelName: 'digits-python',
        deployToLayer: 'edge',
        frameworkType: 'onnx',
        nodeSelector: { site: 'test' },
        targetVersion: '1',
      },
    };
    const applied = await product.cli(['apply', '-f', '-'], { input: JSON.stringify(deployment) });
    expect(applied.code, applied.stderr).toBe(0);
    await product.waitForDevice('edge-1', ({ status }) => status.workloads.some(({ state }) => state === 'serving'), 'serving');
  });

  it('is refused where it is written, with a place, when a file is missing', async () => {
    const text = await readFile(join(ROOT, FOLDER, 'pipeline.json'), 'utf8');
    const result = await product.cli(['apply', '-f', '-', '--name', 'broken'], { input: text.replace('"train.py"', '"nowhere.py"') });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('train.script: nowhere.py could not be read (ENOENT)');
  });
});
