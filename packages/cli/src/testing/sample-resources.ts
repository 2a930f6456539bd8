import type { DatasetVersion, Device, InferenceModel, ModelVersion, Pipeline, PipelineSpec, Run } from '@selvedge/contract';

const AT = '2026-01-02T03:04:05.000Z';
export const DIGEST = 'a'.repeat(64);

export function metadata(name: string, extra: { generation?: number; resourceVersion?: number; labels?: Record<string, string> } = {}) {
  return {
    name,
    labels: {},
    annotations: {},
    uid: `uid-${name}`,
    generation: 1,
    resourceVersion: 1,
    createdAt: AT,
    updatedAt: AT,
    ...extra,
  };
}

const apiVersion = 'selvedge.dev/v1alpha1' as const;

const pipelineSpec: PipelineSpec = {
  dataset: { name: 'digits', path: { train: 'train', test: 'test' } },
  model: { name: 'digits', hyperparams: { lr: 0.001, batch_size: 32, epochs: 3 } },
  preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
  postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
};

export function pipeline(name: string): Pipeline {
  return { apiVersion, kind: 'Pipeline', metadata: metadata(name), spec: pipelineSpec, status: { lastRun: null, lastRunState: null } };
}

export function device(name: string, labels: Record<string, string> = {}): Device {
  return {
    apiVersion,
    kind: 'Device',
    metadata: metadata(name, { labels }),
    spec: {},
    status: {
      online: true,
      lastSeenAt: AT,
      joinedAt: AT,
      certificate: { serial: '01', fingerprint256: DIGEST, notAfter: AT },
      info: null,
      workloads: [],
      telemetry: null,
      conflict: null,
      observedRevision: 0,
    },
  };
}

export function datasetVersion(dataset: string, phase: 'Importing' | 'Ready' | 'Failed', message = ''): DatasetVersion {
  return {
    apiVersion,
    kind: 'DatasetVersion',
    metadata: metadata(`${dataset}-1`),
    spec: {
      dataset,
      version: 1,
      source: { type: 'upload', fileName: `${dataset}.tar` },
      archive: { sha256: DIGEST, sizeBytes: 10 },
      testShare: 0.2,
    },
    status: {
      phase,
      message,
      artifact: `${dataset}-1`,
      content:
        phase === 'Ready' ? { digest: DIGEST, files: 3, sizeBytes: 2048, labels: ['cat', 'dog'], splits: { train: 2, test: 1 } } : null,
    },
  };
}

const STEPS = ['import', 'process', 'export', 'split', 'train', 'benchmark', 'register'] as const;

/** A run whose steps before `at` are completed; the one at `at` is as `state` says. */
export function run(name: string, at: number, state: 'running' | 'failed' | 'completed', resourceVersion: number): Run {
  const isDone = at >= STEPS.length;
  return {
    apiVersion,
    kind: 'Run',
    metadata: metadata(name, { resourceVersion }),
    spec: {
      pipeline: 'digits',
      pipelineGeneration: 1,
      pipelineSpec,
      dataset: { name: 'digits', version: 1, digest: DIGEST, artifact: 'digits-1' },
      cause: { type: 'api', by: 'admin' },
    },
    status: {
      phase: isDone ? 'Succeeded' : state === 'failed' ? 'Failed' : 'Running',
      message: '',
      steps: STEPS.map((step, index) => ({
        name: step,
        state: index < at ? 'completed' : index === at ? state : 'pending',
        attempt: index <= at ? 1 : 0,
        artifact: null,
        startedAt: index <= at ? AT : null,
        finishedAt: index < at ? AT : null,
        progress: index < at ? 1 : 0,
        message: index === at && state === 'failed' ? 'the loss is NaN' : '',
      })),
      startedAt: AT,
      finishedAt: isDone || state === 'failed' ? AT : null,
      metrics: isDone ? { 'test/accuracy': 0.9812 } : {},
      modelVersion: isDone ? 'digits/1' : null,
    },
  };
}

export function modelVersion(model: string, version: string, file: { sha256: string; sizeBytes: number }): ModelVersion {
  const { preproc, postproc } = pipelineSpec;
  return {
    apiVersion,
    kind: 'ModelVersion',
    metadata: metadata(`${model}-${version}`),
    spec: {
      model,
      version,
      format: 'onnx',
      file,
      bundle: file,
      inputs: [{ name: 'x', dataType: 'float32', shape: [null, 1, 28, 28] }],
      outputs: [{ name: 'y', dataType: 'float32', shape: [null, 2] }],
      labels: ['cat', 'dog'],
      preproc,
      postproc,
      metrics: { accuracy: 0.9812, f1: 0.98 },
      lineage: null,
    },
    status: { servedBy: 2 },
  };
}

export function inferenceModel(name: string): InferenceModel {
  return {
    apiVersion,
    kind: 'InferenceModel',
    metadata: metadata(name),
    spec: { modelName: name, deployToLayer: 'edge', frameworkType: 'onnx' },
    status: {
      url: 'http://127.0.0.1:8501',
      servingVersion: '1',
      resolvedVersion: '1',
      observedGeneration: 1,
      devices: [{ device: 'edge-1', state: 'serving', servingVersion: '1', url: 'http://127.0.0.1:8501', message: '' }],
      conditions: [],
    },
  };
}
