import type { DesiredWorkload, Device, InferenceModel, InferenceModelSpec, Model, ModelVersion } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtPackage } from '../testing/built-package.ts';
import { planPlacement, selectDevices } from './placement.ts';

const T0 = '2026-01-01T00:00:00.000Z';
const metadata = (name: string, labels: Record<string, string> = {}, createdAt = T0) => ({
  name,
  labels,
  annotations: {},
  uid: name,
  generation: 1,
  resourceVersion: 1,
  createdAt,
  updatedAt: T0,
});

function device(name: string, labels: Record<string, string> = {}, hostname = ''): Device {
  const info = { agentVersion: '', hostname, arch: '', platform: '', osRelease: '', cpuModel: '', cpus: 1, memoryBytes: 1 };
  const certificate = { serial: '', fingerprint256: '', notAfter: T0 };
  const status = {
    online: true,
    lastSeenAt: null,
    joinedAt: T0,
    certificate,
    info,
    workloads: [],
    telemetry: null,
    conflict: null,
    observedRevision: 0,
  };
  return { apiVersion: 'selvedge.dev/v1alpha1', kind: 'Device', metadata: metadata(name, labels), spec: {}, status };
}

function inferenceModel(name: string, spec: Partial<InferenceModelSpec> = {}, createdAt = T0): InferenceModel {
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'InferenceModel',
    metadata: metadata(name, {}, createdAt),
    spec: { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', ...spec },
    status: { url: '', servingVersion: '', resolvedVersion: '', observedGeneration: 0, devices: [], conditions: [] },
  };
}

const digits: Model = {
  apiVersion: 'selvedge.dev/v1alpha1',
  kind: 'Model',
  metadata: metadata('digits'),
  spec: {},
  status: { aliases: { latest: '2', stable: '1' }, versions: ['1', '2'] },
};

function version(text: string): ModelVersion {
  const file = { sha256: text.repeat(64), sizeBytes: 1 };
  const empty = { pipeline: [] };
  return {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'ModelVersion',
    metadata: metadata(`digits.v${text}`),
    spec: {
      model: 'digits',
      version: text,
      format: 'onnx',
      file,
      bundle: file,
      inputs: [],
      outputs: [],
      labels: [],
      preproc: empty,
      postproc: empty,
      metrics: {},
      lineage: null,
    },
    status: { servedBy: 0 },
  };
}

function plan(
  models: InferenceModel[],
  devices: Device[],
  current = new Map<string, DesiredWorkload[]>(),
  more: Partial<Parameters<typeof planPlacement>[0]> = {},
) {
  return planPlacement({
    inferenceModels: models,
    devices,
    findModel: (name) => (name === 'digits' ? digits : undefined),
    findVersion: (name, text) => (name === 'digits' && digits.status.versions.includes(text) ? version(text) : undefined),
    packagesOf: () => [],
    gatesOf: () => undefined,
    current,
    ...more,
  });
}

describe('planPlacement', () => {
  it.each([
    [{}, '2'],
    [{ targetVersion: '' }, '2'],
    [{ targetVersion: 'stable' }, '1'],
    [{ targetVersion: '1' }, '1'],
  ])('resolves %j to version %s', (spec, expected) => {
    const { workloads, outcomes } = plan([inferenceModel('a', spec)], [device('d1')]);
    expect(outcomes.get('a')).toMatchObject({ refusal: null, resolvedVersion: expected, selected: ['d1'] });
    expect(workloads.get('d1')).toEqual([
      {
        name: 'a',
        kind: 'model-server',
        model: 'digits',
        version: expected,
        manifest: { sha256: expected.repeat(64), sizeBytes: 1 },
        servingPort: 0,
      },
    ]);
  });

  it.each([
    [{ image: 'x' }, 'ImageNeedsKubernetes'],
    [{ deployToLayer: 'cloud' as const }, 'LayerNeedsKubernetes'],
    [{ manifest: [{ version: '1' }] }, 'ManifestUnsupported'],
    [{ frameworkType: 'tensorflow' }, 'FrameworkUnsupported'],
    [{ modelName: 'none' }, 'ModelNotFound'],
    [{ targetVersion: '9' }, 'VersionNotFound'],
    [{ targetVersion: 'constructor' }, 'VersionNotFound'],
  ])('refuses %j because of %s', (spec, reason) => {
    const { workloads, outcomes } = plan([inferenceModel('a', spec)], [device('d1')]);
    expect(outcomes.get('a')?.refusal?.reason).toBe(reason);
    expect(workloads.get('d1')).toEqual([]);
  });

  it('keeps what runs while a version cannot be resolved', () => {
    const before = plan([inferenceModel('a')], [device('d1')]).workloads;
    const { workloads } = plan([inferenceModel('a', { targetVersion: 'slip' })], [device('d1')], before);
    expect(workloads).toEqual(before);
  });

  it('gives a contested port to the one that was there first', () => {
    const models = [
      inferenceModel('a', { servingPort: 9000 }, '2026-01-02T00:00:00.000Z'),
      inferenceModel('b', { servingPort: 9000 }),
      inferenceModel('c', { servingPort: 9001 }),
    ];
    const { workloads, outcomes } = plan(models, [device('d1'), device('d2')]);
    expect(workloads.get('d1')?.map((workload) => workload.name)).toEqual(['b', 'c']);
    expect([...(outcomes.get('a')?.rejected ?? [])].map(([name, refusal]) => [name, refusal.reason])).toEqual([
      ['d1', 'ServingPortTaken'],
      ['d2', 'ServingPortTaken'],
    ]);
  });

  it('selects by labels, host name and node name', () => {
    const fleet = [device('d2', { tier: 'edge', site: 'x' }), device('d1', { tier: 'edge' }), device('d3', {}, 'pi-3')];
    const select = (spec: Partial<InferenceModelSpec>) => selectDevices(inferenceModel('a', spec), fleet).map((one) => one.metadata.name);
    expect(select({})).toEqual(['d1', 'd2', 'd3']);
    expect(select({ nodeSelector: { tier: 'edge' } })).toEqual(['d1', 'd2']);
    expect(select({ nodeSelector: { tier: 'edge', site: 'x' } })).toEqual(['d2']);
    expect(select({ nodeSelector: { tier: 'edge' }, replicas: 1 })).toEqual(['d1']);
    expect(select({ replicas: 0 })).toEqual([]);
    expect(select({ nodeSelector: { 'kubernetes.io/hostname': 'pi-3' } })).toEqual(['d3']);
    expect(select({ nodeSelector: { 'kubernetes.io/hostname': 'd1' } })).toEqual(['d1']);
    expect(select({ nodeName: 'd2' })).toEqual(['d2']);
    expect(select({ nodeName: '' })).toHaveLength(3);
  });

  it('is deterministic, sorted, and never gives a port twice on one device', () => {
    const port = fc.constantFrom(0, 9000, 9001);
    const spec = fc.record({ servingPort: port, targetVersion: fc.constantFrom('1', 'latest', 'none'), replicas: fc.nat(4) });
    const created = fc.constantFrom(T0, '2026-01-02T00:00:00.000Z');
    const models = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), spec, created), { selector: ([name]) => name });
    const names = fc.uniqueArray(fc.constantFrom('d1', 'd2', 'd3'));
    fc.assert(
      fc.property(models, names, (entries, deviceNames) => {
        const all = entries.map(([name, some, createdAt]) => inferenceModel(name, some, createdAt));
        const devices = deviceNames.map((name) => device(name));
        const { workloads, outcomes } = plan(all, devices);
        const reversed = plan([...all].reverse(), [...devices].reverse());
        expect([...reversed.workloads].sort()).toEqual([...workloads].sort());
        expect([...workloads.keys()].sort()).toEqual([...deviceNames].sort());
        expect([...outcomes.keys()].sort()).toEqual(entries.map(([name]) => name).sort());
        for (const list of workloads.values()) {
          const ports = list.map((workload) => workload.servingPort).filter((value) => value !== 0);
          expect(new Set(ports).size).toBe(ports.length);
          expect(list.map((workload) => workload.name)).toEqual(list.map((workload) => workload.name).sort());
        }
        for (const [name, outcome] of outcomes) {
          if (outcome.refusal !== null) continue;
          for (const selected of outcome.selected) {
            const placed = workloads.get(selected)?.some((workload) => workload.name === name);
            expect(placed).toBe(!outcome.rejected.has(selected));
          }
        }
      }),
    );
  });

  describe('native packages', () => {
    const onTarget = (name: string, arch: string, targets?: string[]): Device => {
      const one = device(name);
      const info = { ...one.status.info, arch, platform: 'linux', ...(targets === undefined ? {} : { targets }) };
      return { ...one, status: { ...one.status, info: info as Device['status']['info'] } };
    };
    const nativeOf = (packages: ReturnType<typeof builtPackage>[], on: Device, model = inferenceModel('a')) =>
      plan([model], [on], new Map(), { packagesOf: () => packages }).workloads.get(on.metadata.name)?.[0]?.native?.package;

    it('go to the devices of their target, the newest of them', () => {
      const arm = builtPackage('arm', { target: 'linux-armv7' });
      const old = builtPackage('old', { target: 'linux-amd64' });
      const fresh = builtPackage('fresh', { target: 'linux-amd64', builtAt: '2026-02-01T00:00:00.000Z' });
      expect(nativeOf([arm, old, fresh], onTarget('d', 'x64'))).toBe('fresh');
      expect(nativeOf([arm, old, fresh], onTarget('d', 'arm'))).toBe('arm');
      expect(nativeOf([arm, old, fresh], onTarget('d', 'riscv64'))).toBeUndefined();
      expect(nativeOf([arm, old, fresh], onTarget('d', 'arm64', ['linux-arm64', 'linux-armv7']))).toBe('arm');
    });

    it('stay while they are built anew, and are not there before they were built', () => {
      const again = builtPackage('again', { target: 'linux-amd64' });
      const building = { ...again, status: { ...again.status, phase: 'Building' as const } };
      expect(nativeOf([building], onTarget('d', 'x64'))).toBe('again');
      const never = { ...again, status: { ...again.status, archive: null, manifest: null, manifestSha256: null } };
      expect(nativeOf([never], onTarget('d', 'x64'))).toBeUndefined();
    });

    it('are left out where the InferenceModel wants the model server', () => {
      const model = inferenceModel('a');
      const opted = { ...model, metadata: { ...model.metadata, annotations: { 'selvedge.dev/runtime': 'model-server' } } };
      expect(nativeOf([builtPackage('p', { target: 'linux-amd64' })], onTarget('d', 'x64'), opted)).toBeUndefined();
    });
  });

  it('refuses a version that does not pass its gates, and leaves what is there', () => {
    const result = (passed: boolean, value: number | null) => ({
      results: [{ metric: 'p95Ms' as const, operator: '<=' as const, wanted: 30, value, passed, message: 'so' }],
      issues: [],
    });
    const before: DesiredWorkload = {
      name: 'a',
      kind: 'model-server',
      model: 'digits',
      version: '1',
      manifest: { sha256: '1'.repeat(64), sizeBytes: 1 },
      servingPort: 0,
    };
    const gated = (report: ReturnType<typeof result>) =>
      plan([inferenceModel('a')], [device('d')], new Map([['d', [before]]]), { gatesOf: () => report });
    const refused = gated(result(false, 40));
    expect(refused.workloads.get('d')).toEqual([before]);
    expect(refused.outcomes.get('a')?.refusal).toMatchObject({ reason: 'GateNotPassed', message: expect.stringContaining('p95Ms <= 30') });
    expect(gated(result(false, null)).outcomes.get('a')?.refusal?.reason).toBe('GateNotMeasured');
    expect(gated(result(true, 20)).workloads.get('d')?.[0]?.version).toBe('2');
  });
});
