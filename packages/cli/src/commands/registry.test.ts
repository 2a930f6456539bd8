import type { ModelLineage, TaskComparison } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import { metadata, modelVersion } from '../testing/sample-resources.ts';

const bench = new CliBench().install();
const DIGEST = 'b'.repeat(64);

const comparison: TaskComparison = {
  task: 'org.example.digits',
  criteria: ['accuracy >= 0.95'],
  issues: [],
  costFunction: 'seconds of training',
  pipelines: [
    {
      pipeline: 'small',
      runs: 2,
      best: {
        run: 'small-2',
        modelVersion: 'digits:2',
        criteria: [{ metric: 'accuracy', operator: '>=', wanted: 0.95, value: 0.9, passed: false, message: '0.9 on the test data' }],
        passed: false,
        metrics: { accuracy: 0.9 },
        cost: { runSeconds: 20, trainSeconds: 12, modelBytes: 2048 },
      },
    },
    { pipeline: 'new', runs: 0, best: null },
  ],
};

describe('task compare', () => {
  test('shows the pipelines side by side; with --require it exits with 1 when none passes', async () => {
    await bench.serve({ compareTask: () => comparison });
    const shown = await bench.call(['task', 'compare', 'org.example.digits']);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/PIPELINE +RUNS +BEST RUN +MODEL +ACCURACY >= 0.95 +PASSED +TRAINING +SIZE/);
    expect(shown.stdout).toMatch(/small +2 +small-2 +digits:2 +0.9 not passed +no +12s +2.0 KiB/);
    const required = await bench.call(['task', 'compare', 'org.example.digits', '--require', '-o', 'json']);
    expect(required.code).toBe(1);
    expect(JSON.parse(required.stdout)).toEqual(comparison);
    const told = await bench.call(['task', 'compare', 'org.example.digits', '--require']);
    expect(told.code).toBe(1);
    expect(told.stderr).toContain('No pipeline of task "org.example.digits" passes');
  });
});

const lineage: ModelLineage = {
  model: 'digits',
  version: '2',
  file: { sha256: DIGEST, sizeBytes: 10 },
  createdAt: '2026-01-01T00:00:00.000Z',
  aliases: ['latest'],
  note: null,
  metrics: {},
  origin: {
    run: 'digits-2',
    startedAt: null,
    cause: null,
    pipeline: 'digits',
    pipelineGeneration: 1,
    task: null,
    dataset: { name: 'digits', version: 1, digest: DIGEST, removed: false },
    evaluations: [],
    parameters: { hyperparams: { lr: 0.1 } },
    tools: { train: 'abc' },
    models: { 'letters:4': DIGEST },
  },
  packages: [],
  deployments: ['digits-edge'],
  devices: [{ deployment: 'digits-edge', device: 'edge-1', state: 'serving', runtime: 'model-server' }],
};

describe('lineage', () => {
  test('of a dataset version names the devices that serve a model of it', async () => {
    const served = { ...lineage.devices[0], model: 'digits', version: '2', datasetVersion: 1 };
    const server = await bench.serve({
      getDatasetImpact: () => ({ dataset: 'digits', version: 1, runs: ['digits-2'], evaluated: [], models: [], devices: [served] }),
    });
    const { code, stdout } = await bench.call(['lineage', 'devices', '--dataset', 'digits@1']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/edge-1 +digits:2 +digits@1 +digits-edge +serving +model-server/);
    expect(server.calls).toHaveLength(1);
  });

  test('of a version names the ones that it was made from', async () => {
    await bench.serve({
      getModel: () => ({
        model: {
          apiVersion: 'selvedge.dev/v1alpha1',
          kind: 'Model',
          metadata: metadata('digits'),
          spec: {},
          status: { aliases: { latest: '2' }, versions: ['2'] },
        },
        versions: [modelVersion('digits', '2', lineage.file)],
      }),
      getModelLineage: () => lineage,
    });
    const { code, stdout } = await bench.call(['model', 'lineage', 'digits:2']);
    expect(code).toBe(0);
    expect(stdout).toContain(`made from model letters:4, ${DIGEST}`);
  });
});

describe('model alias', () => {
  test('refuses what is no alias before anything is sent', async () => {
    const server = await bench.serve({});
    for (const alias of ['latest', '3', 'Champion']) {
      const { code, stderr } = await bench.call(['model', 'alias', 'digits', alias, '2']);
      expect(code).toBe(2);
      expect(stderr).toContain(alias);
    }
    expect(server.calls).toEqual([]);
  });
});
