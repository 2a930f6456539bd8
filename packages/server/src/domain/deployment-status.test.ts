import type { Device, InferenceModel, WorkloadReport } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { countServing, inferenceModelStatus } from './deployment-status.ts';
import type { PlacementOutcome } from './placement.ts';

const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-01T00:01:00.000Z';
const metadata = (name: string) => ({
  name,
  labels: {},
  annotations: {},
  uid: name,
  generation: 3,
  resourceVersion: 1,
  createdAt: T0,
  updatedAt: T0,
});

const report = (servingVersion: string | null, overrides: Partial<WorkloadReport> = {}): WorkloadReport => ({
  name: 'reader',
  model: 'digits',
  desiredVersion: servingVersion ?? '2',
  servingVersion,
  previousVersion: null,
  state: 'serving',
  port: 9000,
  progress: null,
  error: null,
  restarts: 0,
  servingSince: T0,
  ...overrides,
});

function device(name: string, workloads: WorkloadReport[], online = true): Device {
  const certificate = { serial: '', fingerprint256: '', notAfter: T0 };
  const status = {
    online,
    lastSeenAt: null,
    joinedAt: T0,
    certificate,
    info: null,
    workloads,
    telemetry: null,
    conflict: null,
    observedRevision: 0,
  };
  return { apiVersion: 'selvedge.dev/v1alpha1', kind: 'Device', metadata: metadata(name), spec: {}, status };
}

const model = (servingPort = 0, replicas?: number): InferenceModel => ({
  apiVersion: 'selvedge.dev/v1alpha1',
  kind: 'InferenceModel',
  metadata: metadata('reader'),
  spec: { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', servingPort, ...(replicas === undefined ? {} : { replicas }) },
  status: { url: '', servingVersion: '', resolvedVersion: '', observedGeneration: 0, devices: [], conditions: [] },
});

function statusOf(devices: Device[], outcome: Partial<PlacementOutcome> = {}, of = model(), nowIso = T0) {
  const selected = devices.map((entry) => entry.metadata.name);
  const full = {
    refusal: null,
    resolvedVersion: '2',
    selected,
    rejected: new Map(),
    gates: undefined,
    withheld: new Set<string>(),
    ...outcome,
  };
  const status = inferenceModelStatus(of, full, (name) => devices.find((entry) => entry.metadata.name === name), nowIso);
  const reasons = Object.fromEntries(status.conditions.map((condition) => [condition.type, `${condition.status} ${condition.reason}`]));
  return { status, reasons };
}

describe('inferenceModelStatus', () => {
  it('names the version that all serve, even while it is not the wanted one', () => {
    const { status, reasons } = statusOf([device('a', [report('1')]), device('b', [report('1')])]);
    expect(status).toMatchObject({ servingVersion: '1', resolvedVersion: '2', url: 'http://127.0.0.1:9000', observedGeneration: 3 });
    expect(reasons).toEqual({ Available: 'True Serving', Progressing: 'True RollingOut' });
  });

  it('names no version while they differ or one serves none', () => {
    expect(statusOf([device('a', [report('1')]), device('b', [report('2')])]).status.servingVersion).toBe('');
    const { status, reasons } = statusOf([device('a', [report('2')]), device('b', [])]);
    expect(status.servingVersion).toBe('');
    expect(reasons).toEqual({ Available: 'False NotAllServing', Progressing: 'True RollingOut' });
  });

  it('is complete when all serve the wanted version on the wanted port', () => {
    expect(statusOf([device('a', [report('2')])]).reasons).toEqual({ Available: 'True Serving', Progressing: 'False Complete' });
    expect(statusOf([device('a', [report('2')])], {}, model(8080)).reasons.Progressing).toBe('True RollingOut');
    expect(statusOf([device('a', [report('2', { model: 'other' })])]).status.servingVersion).toBe('');
  });

  it('shows why a device failed, and stops calling it progress when all that is left has failed', () => {
    const error = { code: 'DIGEST_MISMATCH', message: 'wrong sha256', at: T0 };
    const failed = device('b', [report('1', { desiredVersion: '2', state: 'failed', error })]);
    const { status, reasons } = statusOf([device('a', [report('2')]), failed]);
    expect(status.devices[1]).toMatchObject({ state: 'failed', servingVersion: '1', message: 'DIGEST_MISMATCH: wrong sha256' });
    expect(reasons).toEqual({ Available: 'True Serving', Progressing: 'False WorkloadFailed' });
  });

  it('passes refusals and rejections on as reasons', () => {
    const refusal = { reason: 'ImageNeedsKubernetes', message: 'no' };
    expect(statusOf([], { refusal, resolvedVersion: '' }).reasons).toEqual({
      Available: 'False ImageNeedsKubernetes',
      Progressing: 'False ImageNeedsKubernetes',
    });
    const rejected = new Map([['a', { reason: 'ServingPortTaken', message: 'taken' }]]);
    expect(statusOf([device('a', [])], { rejected }).reasons).toEqual({
      Available: 'False ServingPortTaken',
      Progressing: 'False ServingPortTaken',
    });
  });

  it('tells no device from none wanted', () => {
    expect(statusOf([]).reasons.Available).toBe('False NoMatchingDevice');
    expect(statusOf([], {}, model(0, 0)).reasons.Available).toBe('False ScaledToZero');
  });

  it('says when a device is away', () => {
    expect(statusOf([device('a', [report('2')], false)]).status.devices[0]).toMatchObject({
      servingVersion: '2',
      message: 'The device is offline.',
    });
  });

  it('keeps the transition time while a condition does not change', () => {
    const first = statusOf([device('a', [])]).status;
    const waiting = { ...model(), status: first };
    expect(statusOf([device('a', [])], {}, waiting, T1).status).toEqual(first);
    const times = statusOf([device('a', [report('2')])], {}, waiting, T1).status.conditions.map(
      (condition) => condition.lastTransitionTime,
    );
    expect(times).toEqual([T1, T1]);
  });
});

describe('countServing', () => {
  it('counts each device once per version', () => {
    const counts = countServing([device('a', [report('1'), report('1', { name: 'other' }), report(null)]), device('b', [report('1')])]);
    expect([...counts]).toEqual([['digits/1', 2]]);
  });
});
