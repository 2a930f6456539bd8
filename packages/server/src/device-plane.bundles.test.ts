import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BundleStatement, ReportedState, ResultsStatement, TelemetrySample, WorkloadReport } from '@selvedge/contract';
import { readBundle, signResults } from '@selvedge/runtime/bundle';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pruneBundles } from './services/bundle-retention.ts';
import { type Identity, makeRequest } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const sample = (minute: number): TelemetrySample => ({
  at: new Date(Date.parse('2026-11-01T00:00:00.000Z') + minute * 60_000).toISOString(),
  ...{ cpu: minute / 100, memoryUsedBytes: null, memoryTotalBytes: null, diskUsedBytes: null, diskTotalBytes: null },
  ...{ temperatureC: null, networkRxBytes: null, networkTxBytes: null, agentRssBytes: null },
});

function reportOf(observedRevision: number, servingVersion: string): ReportedState {
  const workload: WorkloadReport = {
    ...{ name: 'reader', model: 'digits', desiredVersion: servingVersion, servingVersion, previousVersion: null, state: 'serving' },
    ...{ port: 8080, progress: null, error: null, restarts: 0, servingSince: '2026-11-01T00:00:00.000Z' },
  };
  const info = { agentVersion: '1', hostname: 'h', arch: 'x64', platform: 'linux', osRelease: '', cpuModel: '', cpus: 1, memoryBytes: 1 };
  return { v: 1, sequence: 0, instanceId: 'one', observedRevision, info, workloads: [workload] };
}

describe('bundles', () => {
  let rig: PlaneRig;
  beforeEach(async () => {
    rig = await PlaneRig.start();
  });
  afterEach(() => rig.stop());

  const by = 'tester';
  const make = (...devices: string[]) => rig.plane.bundles.create({ devices, by });
  async function read(name: string): Promise<{ statement: BundleStatement; bytes: Buffer; content: Map<string, string> }> {
    const { file } = await rig.plane.bundles.open(name);
    const bytes = await buffer(Readable.from(file));
    const content = new Map<string, string>();
    const statement = await readBundle(Readable.from([bytes]), {
      ca: rig.plane.trust.caPem,
      onStatement: (found) => new Set(found.content.map(({ sha256 }) => sha256)),
      take: async (sha256, chunks) => void content.set(sha256, (await buffer(Readable.from(chunks))).toString()),
    });
    return { statement, bytes, content };
  }
  const bring = (identity: Identity, change: Partial<ResultsStatement> = {}) => {
    const statement: ResultsStatement = {
      formatVersion: 1,
      device: identity.name,
      sequence: 1,
      createdAt: '2026-11-01T00:00:00.000Z',
      bundle: null,
      reported: null,
      telemetry: [],
      ...change,
    };
    return rig.plane.results.import(Readable.from([signResults(statement, { keyPem: identity.key, certPem: identity.cert })]), by);
  };

  it('hold what each device is told at that moment, and each file once; the same bytes each time', async () => {
    await rig.join('edge-1', { site: 'a' });
    await rig.join('edge-2', { site: 'a' });
    await rig.join('edge-3', { site: 'b' });
    await rig.addVersion('digits', '1');
    await rig.deploy('reader', { nodeSelector: { site: 'a' } });
    const bundle = await rig.plane.bundles.create({ selector: 'site=a', by });
    const { statement, bytes, content } = await read(bundle.metadata.name);
    expect(statement.devices.map(({ name, desired }) => [name, desired.workloads[0]?.version])).toEqual([
      ['edge-1', '1'],
      ['edge-2', '1'],
    ]);
    expect([...content.values()].map((text) => text.slice(0, 8)).sort()).toEqual(['digits/1', '{"format']);
    expect(bundle.spec.sizeBytes).toBe(bytes.length);
    expect((await read(bundle.metadata.name)).bytes).toEqual(bytes);
    await expect(rig.plane.bundles.create({ selector: 'site=c', by })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(make('edge-4')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('of a removed device are void, and later ones say so; one that joins under its name is another', async () => {
    const first = await rig.join('edge-1');
    await rig.join('edge-2');
    const both = await make('edge-1', 'edge-2');
    const [own] = both.spec.devices;
    await rig.plane.removeDevice('edge-1');
    await expect(rig.plane.bundles.open(both.metadata.name)).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
    expect((await rig.store.get('Bundle', both.metadata.name))?.status.devices.map(({ state }) => state)).toEqual(['void', 'pending']);
    await expect(bring(first)).rejects.toMatchObject({ code: 'DEVICE_REVOKED' });
    await rig.join('edge-1');
    await expect(rig.plane.bundles.open(both.metadata.name)).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
    await expect(bring(first)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const later = await read((await make('edge-2')).metadata.name);
    expect(later.statement.revoked.certificates).toEqual(own?.certificates);
  });

  it('that were revoked or have expired cannot be had; later ones name those that could still be applied', async () => {
    const identity = await rig.join('edge-1');
    const [revoked, expiring] = [await make('edge-1'), await rig.plane.bundles.create({ devices: ['edge-1'], by, expiresInS: 60 })];
    await rig.plane.bundles.revoke(revoked.metadata.name, by);
    expect((await rig.plane.bundles.revoke(revoked.metadata.name, 'another')).status.revoked?.by).toBe(by);
    await expect(rig.plane.bundles.open(revoked.metadata.name)).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
    const applied = { id: revoked.metadata.name, revision: 1, appliedAt: '2026-11-01T00:00:00.000Z' };
    await expect(bring(identity, { bundle: applied })).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
    expect((await read((await make('edge-1')).metadata.name)).statement.revoked.bundles).toEqual([revoked.metadata.name]);
    rig.skewMs = 61_000;
    await expect(rig.plane.bundles.open(expiring.metadata.name)).rejects.toMatchObject({ code: 'BUNDLE_EXPIRED' });
    rig.skewMs = 31 * 86_400_000;
    expect((await read((await make('edge-1')).metadata.name)).statement.revoked.bundles).toEqual([]);
  });

  it('are removed 400 days after they have expired, unless they were revoked', async () => {
    const identity = await rig.join('edge-1');
    const [old, revoked] = [await make('edge-1'), await make('edge-1')];
    const later = await rig.plane.bundles.create({ devices: ['edge-1'], by, expiresInS: 60 * 86_400 });
    await rig.plane.bundles.revoke(revoked.metadata.name, by);
    const prune = (days: number) => pruneBundles(rig.store, rig.blobs, new Date(Date.parse(old.metadata.createdAt) + days * 86_400_000));
    expect(await prune(429)).toBe(0);
    expect(await prune(431)).toBe(1);
    expect(await rig.store.get('Bundle', old.metadata.name)).toBeUndefined();
    expect(await rig.blobs.stat(old.spec.statement.sha256)).toBeUndefined();
    expect(await rig.store.get('Bundle', later.metadata.name)).toBeDefined();
    const applied = { id: revoked.metadata.name, revision: 1, appliedAt: '2026-11-01T00:00:00.000Z' };
    await expect(bring(identity, { bundle: applied })).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
  });

  it('say which records of a device the server has, however they came', async () => {
    const identity = await rig.join('edge-1');
    await rig.join('edge-2');
    const batch = (first: number, last: number) => ({
      v: 1 as const,
      samples: [{ ...sample(last), sequence: last }],
      spool: { id: 's', first, last, waiting: 0 },
    });
    await bring(identity, { telemetry: [batch(1, 4)] });
    await rig.store.appendTelemetry('edge-1', batch(5, 9));
    const { statement } = await read((await make('edge-1', 'edge-2')).metadata.name);
    expect(statement.devices.map(({ taken }) => taken)).toEqual([[{ spool: 's', ranges: [{ first: 1, last: 9 }] }], undefined]);
  });
});

describe('results on a stick', () => {
  let rig: PlaneRig;
  let identity: Identity;
  beforeEach(async () => {
    rig = await PlaneRig.start();
    identity = await rig.join('edge-1');
  });
  afterEach(() => rig.stop());

  const bring = (change: Partial<ResultsStatement>, signer: Identity = identity) => {
    const statement: ResultsStatement = {
      ...{
        formatVersion: 1,
        device: 'edge-1',
        sequence: 1,
        createdAt: '2026-11-01T00:00:00.000Z',
        bundle: null,
        reported: null,
        telemetry: [],
      },
      ...change,
    };
    return rig.plane.results.import(Readable.from([signResults(statement, { keyPem: signer.key, certPem: signer.cert })]), 'tester');
  };
  const status = async () => (await rig.store.get('Device', 'edge-1'))?.status;

  it('are taken once, the newest last, as if they had come over the wire', async () => {
    await rig.addVersion('digits', '1');
    await rig.deploy('reader', {});
    const bundle = await rig.plane.bundles.create({ devices: ['edge-1'], by: 'tester' });
    const revision = bundle.spec.devices[0]?.revision ?? 0;
    const applied = { id: bundle.metadata.name, revision, appliedAt: '2026-11-01T00:00:00.000Z' };
    const second = {
      sequence: 2,
      bundle: applied,
      reported: reportOf(revision, '1'),
      telemetry: [{ v: 1 as const, samples: [sample(1), sample(2)] }],
    };
    expect(await bring(second)).toMatchObject({ state: 'taken', samples: 2, serving: [{ version: '1' }] });
    expect(await bring(second)).toMatchObject({ state: 'known' });
    expect(
      await bring({
        ...second,
        sequence: 1,
        reported: reportOf(revision, '0'),
        telemetry: [{ v: 1 as const, samples: [sample(0), sample(1)] }],
      }),
    ).toMatchObject({
      state: 'older',
    });
    expect(await status()).toMatchObject({
      online: false,
      lastSeenAt: null,
      byBundle: { bundle: bundle.metadata.name, sequence: 2 },
      workloads: [{ servingVersion: '1' }],
      telemetry: { cpu: 0.02 },
    });
    const stored = await rig.store.readTelemetry('edge-1', '2026-10-01T00:00:00.000Z');
    expect(stored.map(({ cpu }) => cpu)).toEqual([0, 0.01, 0.02]);
    const model = await rig.untilModel('reader', (found) => found.status.servingVersion === '1');
    expect(model.status.devices).toMatchObject([{ device: 'edge-1', state: 'serving' }]);
    expect((await rig.store.get('Bundle', bundle.metadata.name))?.status.devices).toMatchObject([{ state: 'returned' }]);
  });

  it('do not put back what a connected device says', async () => {
    const device = await rig.connect(identity);
    await device.report([], 0);
    await rig.untilDevice('edge-1', (found) => found.status.info !== null);
    expect(await bring({ reported: reportOf(5, '1'), telemetry: [{ v: 1 as const, samples: [sample(1)] }] })).toMatchObject({
      state: 'older',
      samples: 1,
    });
    expect((await status())?.workloads).toEqual([]);
  });

  it('are refused when another device has signed them, or nobody of ours; an expired certificate still counts', async () => {
    const other = await rig.join('edge-2');
    await expect(bring({}, other)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    const stranger = await PlaneRig.start();
    try {
      await expect(bring({}, await stranger.join('edge-1'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    } finally {
      await stranger.stop();
    }
    await expect(rig.plane.results.import(Readable.from([Buffer.from('{}')]), 'tester')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    rig.skewMs = 100 * 86_400_000;
    expect(await bring({ reported: reportOf(1, '1') })).toMatchObject({ state: 'taken' });
  });
});

describe('a request in a file', () => {
  let rig: PlaneRig;
  beforeEach(async () => {
    rig = await PlaneRig.start();
  });
  afterEach(() => rig.stop());

  it('makes a device; signed again it is the same one, and both certificates are its', async () => {
    const { csrPem, keyPem } = await makeRequest();
    const request = { type: 'selvedge-join-request' as const, csrPem, labels: { site: 'lab' } };
    const first = await rig.plane.desk.signRequest(request);
    expect(first).toMatchObject({ device: 'device-1', authoritySha256: (await rig.plane.caStatus()).current.sha256 });
    expect((await rig.store.get('Device', 'device-1'))?.metadata.labels).toEqual({ site: 'lab' });
    const second = await rig.plane.desk.signRequest(request);
    expect(second.device).toBe('device-1');
    const [made] = (await rig.plane.bundles.create({ devices: ['device-1'], by: 'tester' })).spec.devices;
    expect(made?.certificates).toHaveLength(2);
    const device = await rig.connect({ name: 'device-1', key: keyPem, cert: second.certificatePem, ca: second.caPem });
    await device.report([], 0);
    await rig.untilDevice('device-1', (found) => found.status.online);
    const { csrPem: another } = await makeRequest();
    const taken = rig.plane.desk.signRequest({ ...request, csrPem: another, name: 'device-1' });
    await expect(taken).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
