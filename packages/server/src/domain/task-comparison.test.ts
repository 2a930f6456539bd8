import type { ModelVersion, Task } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { compareTask, type PipelineEntry } from './task-comparison.ts';

const SHA = 'a'.repeat(64);
const AT = '2026-01-01T00:00:00.000Z';
const metadata = (name: string) => ({
  name,
  labels: {},
  annotations: {},
  uid: name,
  generation: 1,
  resourceVersion: 1,
  createdAt: AT,
  updatedAt: AT,
});

function version(model: string, number: string, metrics: Record<string, number>): ModelVersion {
  const dataset = { name: 'd', version: 1, digest: SHA };
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'ModelVersion',
    metadata: metadata(`${model}.v${number}`),
    spec: {
      model,
      version: number,
      format: 'onnx',
      file: { sha256: SHA, sizeBytes: 10 },
      bundle: { sha256: SHA, sizeBytes: 10 },
      inputs: [],
      outputs: [],
      labels: [],
      preproc: { pipeline: [] },
      postproc: { pipeline: [] },
      metrics,
      lineage: { run: `${model}-${number}`, pipeline: model, pipelineGeneration: 1, dataset, parameters: {}, tools: {} },
    },
    status: { servedBy: 0 },
  };
}

function task(criteria: string[]): Task {
  const texts = { description: 'x', output: 'x', constraints: 'x', archives: 'x', cost_function: 'seconds', evaluation_dataset: 'd' };
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Task',
    metadata: metadata('org.example.t'),
    spec: { ...texts, evaluation_criterias: criteria },
    status: { pipelines: [] },
  };
}

const entry = (pipeline: string, ...versions: Record<string, number>[]): PipelineEntry => ({
  pipeline,
  runs: versions.length,
  contestants: versions.map((metrics, i) => ({ version: version(pipeline, String(i + 1), metrics), run: undefined })),
});

describe('compareTask', () => {
  it('takes the best version of each pipeline, and the best pipeline first', () => {
    const comparison = compareTask(task(['accuracy >= 0.9', 'loss', 'as good as can be']), [
      entry('none'),
      entry('a', { accuracy: 0.8, loss: 0.1 }, { accuracy: 0.92, loss: 0.9 }),
      entry('b', { accuracy: 0.92, loss: 0.2 }, { accuracy: 0.5, loss: 0.1 }),
    ]);
    expect(comparison.criteria).toEqual(['accuracy >= 0.9', 'loss']);
    expect(comparison.pipelines.map(({ pipeline, best }) => [pipeline, best?.modelVersion, best?.passed])).toEqual([
      ['b', 'b:1', true],
      ['a', 'a:2', true],
      ['none', undefined, undefined],
    ]);
  });

  it('does not pass what was not measured, and reads metrics of detection', () => {
    const { pipelines } = compareTask(task(['mAP@50 >= 0.8', 'rank-1 >= 0.5']), [entry('a', { 'mAP@50': 0.9 })]);
    expect(pipelines[0]?.best).toMatchObject({
      passed: false,
      criteria: [
        { metric: 'mAP@50', value: 0.9, passed: true },
        { metric: 'rank1', value: null, passed: false },
      ],
    });
  });

  it('says null of criteria without a bound, and names what cannot be one', () => {
    const comparison = compareTask(task(['accuracy', 'mood >= 3']), [entry('a', { accuracy: 0.9 })]);
    expect(comparison.pipelines[0]?.best?.passed).toBeNull();
    expect(comparison.issues[0]).toContain('"mood >= 3" names a metric that nothing measures');
  });
});
