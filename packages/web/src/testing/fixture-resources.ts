import { createHash } from 'node:crypto';
import {
  type AnyResource,
  API_VERSION,
  type Device,
  type InferenceModel,
  type LinkStanding,
  type Metadata,
  type ModelVersion,
  type Module,
  type Operation,
  type Pipeline,
  type Run,
  type RunStep,
} from '@selvedge/contract';
import { sample } from './fixture-curves.ts';

/** Resources for looking at the page without a server: every state that it has to show, at least once. */

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export class FixtureClock {
  readonly nowMs: number;
  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }
  /** Some minutes before now. */
  ago(minutes: number): string {
    return new Date(this.nowMs - minutes * 60_000).toISOString();
  }
}

export function metadata(name: string, createdAt: string, labels: Record<string, string> = {}): Metadata {
  return {
    name,
    labels,
    annotations: {},
    uid: digestOf(name + createdAt).slice(0, 16),
    generation: 1,
    resourceVersion: 1,
    createdAt,
    updatedAt: createdAt,
  };
}

const PIPELINE_SPEC: Pipeline['spec'] = {
  dataset: { name: 'digits', path: { train: 'train', test: 'test' } },
  model: { name: 'digits', hyperparams: { lr: 0.002, batch_size: 64, epochs: 12, optimizer: 'adamw', seed: 7 } },
  preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [0, 1] } },
  postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
};

export function task(name: string, createdAt: string): AnyResource {
  return {
    apiVersion: API_VERSION,
    kind: 'Task',
    metadata: metadata(name, createdAt),
    spec: {
      description: 'Read the one digit that a small picture shows: printed, handwritten or as on a seven-segment display.',
      output: 'The three most likely digits, best first, each with its probability.',
      constraints: 'accuracy >= 0.95, p95Ms <= 3; needs no network once it is deployed.',
      archives: ['Pictures rendered by a script, one folder per digit.'],
      evaluation_criterias: ['accuracy >= 0.95', { metric: 'accuracy', threshold: 0.9, dataset: 'digits-field@2' }, 'mood >= 3'],
      cost_function: 'Cross-entropy between the predicted probabilities and the digit shown.',
      evaluation_dataset: 'As many pictures of each digit, rendered from numbers that no training picture uses.',
    },
    status: { pipelines: ['digits', 'fabric-defects'] },
  };
}

export function pipeline(name: string, createdAt: string, model: string, of: { task: string; lastRun: string }): Pipeline {
  const spec = { ...PIPELINE_SPEC, task: of.task, model: { ...PIPELINE_SPEC.model, name: model } };
  return {
    apiVersion: API_VERSION,
    kind: 'Pipeline',
    metadata: metadata(name, createdAt),
    spec,
    status: { lastRun: of.lastRun, lastRunState: null },
  };
}

export function dataset(name: string, createdAt: string, versions: number[]): AnyResource {
  return {
    apiVersion: API_VERSION,
    kind: 'Dataset',
    metadata: metadata(name, createdAt),
    spec: {},
    status: { latestVersion: versions.at(-1) ?? null, versions },
  };
}

export function datasetVersion(name: string, version: number, createdAt: string, phase: 'Importing' | 'Ready' | 'Failed'): AnyResource {
  const labels = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
  const content = { digest: digestOf(`${name}${version}`), files: 3600, sizeBytes: 9_400_000, labels, splits: { train: 3000, test: 600 } };
  return {
    apiVersion: API_VERSION,
    kind: 'DatasetVersion',
    metadata: metadata(`${name}-v${version}`, createdAt),
    spec: {
      dataset: name,
      version,
      source: { type: 'upload', fileName: `${name}.tar` },
      archive: { sha256: digestOf(name), sizeBytes: 9_000_000 },
      testShare: 0.2,
    },
    status: {
      phase,
      message: phase === 'Failed' ? 'the archive holds no picture' : '',
      artifact: `${name}-v${version}`,
      content: phase === 'Ready' ? content : null,
    },
  };
}

export interface RunPlan {
  name: string;
  pipeline: string;
  phase: Run['status']['phase'];
  startedAt: string;
  /** Seconds each finished step took. */
  seconds: readonly number[];
  /** The step that is at work or failed. */
  current?: { progress: number; message: string };
  modelVersion?: string;
  criteria?: NonNullable<Run['status']['criteria']>;
  /** Of its step "train". */
  resources?: NonNullable<RunStep['resources']>;
  /** Steps taken from this run. */
  cachedFrom?: { run: string; steps: readonly string[] };
  spec?: Partial<Run['spec']>;
  sweep?: Run['status']['sweep'];
}

export function run(plan: RunPlan): Run {
  const steps = stepsOf(plan);
  const finishedAt =
    plan.phase === 'Running' || plan.phase === 'Pending'
      ? null
      : (steps.findLast((step) => step.finishedAt !== null)?.finishedAt ?? plan.startedAt);
  const done = plan.phase === 'Succeeded';
  return {
    apiVersion: API_VERSION,
    kind: 'Run',
    metadata: metadata(plan.name, plan.startedAt),
    spec: {
      pipeline: plan.pipeline,
      pipelineGeneration: 1,
      pipelineSpec: PIPELINE_SPEC,
      dataset: { name: 'digits', version: 2, digest: digestOf('digits2'), artifact: 'digits-v2' },
      cause: { type: 'manual', by: 'admin' },
      ...plan.spec,
    },
    status: {
      phase: plan.phase,
      message: plan.phase === 'Failed' ? (plan.current?.message ?? 'failed') : '',
      steps,
      startedAt: plan.startedAt,
      finishedAt,
      metrics: done
        ? {
            'train/loss': 0.0412,
            'validation/accuracy': 0.981,
            'test/accuracy': 0.9783,
            'test/f1': 0.9781,
            'test/precision': 0.979,
            'test/loss': 0.0733,
          }
        : plan.phase === 'Running'
          ? { 'train/loss': 0.2613, 'validation/loss': 0.3102, 'validation/accuracy': 0.9218 }
          : {},
      modelVersion: plan.modelVersion ?? null,
      ...(plan.criteria === undefined ? {} : { criteria: plan.criteria }),
      ...(plan.sweep === undefined ? {} : { sweep: plan.sweep }),
    },
  };
}

function stepsOf(plan: RunPlan): RunStep[] {
  let at = Date.parse(plan.startedAt);
  return ['import', 'process', 'export', 'split', 'train', 'benchmark', 'register'].map((name, index): RunStep => {
    const seconds = plan.seconds[index];
    const startedAt = new Date(at).toISOString();
    if (seconds !== undefined) {
      at += seconds * 1000;
      return {
        name,
        state: 'completed',
        attempt: 1,
        artifact: `${plan.name}-${name}`,
        startedAt,
        finishedAt: new Date(at).toISOString(),
        progress: 1,
        message: '',
        ...(plan.cachedFrom?.steps.includes(name) === true ? { cachedFrom: `${plan.cachedFrom.run}.${name}` } : {}),
        ...(name === 'train' && plan.resources !== undefined ? { resources: plan.resources } : {}),
      };
    }
    const isCurrent = index === plan.seconds.length && plan.current !== undefined;
    if (isCurrent && plan.current !== undefined) {
      const failed = plan.phase === 'Failed';
      const finishedAt = failed ? new Date(at + 4000).toISOString() : null;
      return {
        name,
        state: failed ? 'failed' : 'running',
        attempt: failed ? 2 : 1,
        artifact: `${plan.name}-${name}`,
        startedAt,
        finishedAt,
        ...plan.current,
      };
    }
    const state = plan.phase === 'Cancelled' ? 'cancelled' : 'pending';
    return { name, state, attempt: 0, artifact: null, startedAt: null, finishedAt: null, progress: 0, message: '' };
  });
}

export function modelVersion(
  model: string,
  version: string,
  createdAt: string,
  runName: string,
  accuracy: number,
  servedBy: number,
  status: Partial<ModelVersion['status']> = {},
): ModelVersion {
  return {
    apiVersion: API_VERSION,
    kind: 'ModelVersion',
    metadata: metadata(`${model}-${version}`, createdAt),
    spec: {
      model,
      version,
      format: 'onnx',
      file: { sha256: digestOf(`${model}${version}`), sizeBytes: 412_318 },
      bundle: { sha256: digestOf(`bundle${model}${version}`), sizeBytes: 2118 },
      inputs: [{ name: 'image', dataType: 'float32', shape: [null, 1, 28, 28] }],
      outputs: [{ name: 'logits', dataType: 'float32', shape: [null, 10] }],
      labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
      preproc: PIPELINE_SPEC.preproc,
      postproc: PIPELINE_SPEC.postproc,
      metrics: { accuracy, f1: accuracy - 0.0007, loss: (1 - accuracy) * 3.2 },
      lineage: {
        run: runName,
        pipeline: 'digits',
        pipelineGeneration: 1,
        dataset: { name: 'digits', version: 2, digest: digestOf('digits2') },
        parameters: { lr: 0.002, batch_size: 64, epochs: 12, optimizer: 'adamw' },
        tools: { process: digestOf('process'), train: digestOf('train'), benchmark: digestOf('benchmark') },
      },
    },
    status: { servedBy, ...status },
  };
}

export function model(name: string, createdAt: string, versions: string[]): AnyResource {
  return {
    apiVersion: API_VERSION,
    kind: 'Model',
    metadata: metadata(name, createdAt),
    spec: {},
    status: { aliases: { latest: versions.at(-1) ?? '1' }, versions },
  };
}

export type Workload = Device['status']['workloads'][number];

export function workload(name: string, change: Partial<Workload> = {}): Workload {
  return {
    name,
    model: 'digits',
    desiredVersion: '3',
    servingVersion: '3',
    previousVersion: '2',
    state: 'serving',
    port: 41_877,
    progress: null,
    error: null,
    restarts: 0,
    servingSince: null,
    ...change,
  };
}

/** The first ones are near, the others ever farther. */
function link(index: number): LinkStanding {
  return {
    rttMs: 4 + index * index * 15,
    rttP95Ms: 12 + index * index * 40,
    samples: 32,
    reconnectsHour: index > 3 ? 2 : 0,
    reconnectsDay: index,
    unansweredPings: 0,
    downloadBytesPerS: index === 2 ? null : Math.round(8e6 / (1 + index * index)),
    wifiDbm: index % 2 === 0 ? null : -50 - index * 4,
    watchedS: 86_400,
  };
}

export function device(
  name: string,
  clock: FixtureClock,
  index: number,
  labels: Record<string, string>,
  change: Partial<Device['status']> = {},
): Device {
  return {
    apiVersion: API_VERSION,
    kind: 'Device',
    metadata: metadata(name, clock.ago(3000 - index), labels),
    spec: {},
    status: {
      online: true,
      lastSeenAt: clock.ago(0.1 * (index + 1)),
      joinedAt: clock.ago(3000 - index * 7),
      certificate: { serial: `4F2A9C${index}17`, fingerprint256: digestOf(name), notAfter: clock.ago(-60 * 24 * 320) },
      info: {
        agentVersion: '0.1.0',
        hostname: name,
        arch: index % 2 === 0 ? 'arm64' : 'x64',
        platform: 'linux',
        osRelease: 'Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28',
        cpuModel: 'Cortex-A76',
        cpus: 4,
        memoryBytes: 4_101_234_688,
      },
      workloads: [],
      telemetry: sample(clock.nowMs, index),
      conflict: null,
      observedRevision: 14,
      upkeep: { link: link(index) },
      ...change,
    },
  };
}

export function inferenceModel(
  name: string,
  createdAt: string,
  spec: Partial<InferenceModel['spec']>,
  status: Partial<InferenceModel['status']> & Pick<InferenceModel['status'], 'devices'>,
): InferenceModel {
  return {
    apiVersion: API_VERSION,
    kind: 'InferenceModel',
    metadata: metadata(name, createdAt),
    spec: { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', ...spec },
    status: { url: '', servingVersion: '', resolvedVersion: '3', observedGeneration: 1, conditions: [], ...status },
  };
}

/** A file that goes to three devices: there on one, under way on the second, failed on the third. */
export function operation(name: string, createdAt: string, devices: readonly [string, string, string]): Operation {
  const one = { startedAt: createdAt, finishedAt: createdAt, exitCode: null, file: null, changed: null, output: '', error: null };
  const totalBytes = 52_428_800;
  return {
    apiVersion: API_VERSION,
    kind: 'Operation',
    metadata: metadata(name, createdAt),
    spec: {
      task: { type: 'push', file: { sha256: 'a'.repeat(64), sizeBytes: totalBytes, name: 'maps.bin' }, path: '/var/lib/app/maps.bin' },
      target: 'site=north',
      parallel: 8,
      wait: true,
      expiresAt: createdAt,
      by: 'admin',
    },
    status: {
      state: 'running',
      startedAt: createdAt,
      finishedAt: null,
      cancelledBy: null,
      devices: [
        { ...one, device: devices[0], state: 'succeeded', progress: { doneBytes: totalBytes, totalBytes }, changed: true },
        { ...one, device: devices[1], state: 'running', finishedAt: null, progress: { doneBytes: 20_000_000, totalBytes } },
        {
          ...one,
          device: devices[2],
          state: 'failed',
          progress: null,
          error: { code: 'FORBIDDEN', message: 'This device does not allow /var/lib/app/maps.bin; it allows what is below: /srv.' },
        },
      ],
    },
  };
}

export function module(name: string, since: string, change: Partial<Module> = {}): Module {
  return { name, state: 'healthy', pid: 4242, restarts: 0, since, lastExit: null, busyWith: null, queued: 0, version: '0.1.0', ...change };
}
