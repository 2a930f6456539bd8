import type { AnyResource, DesiredWorkload, DeviceBudgets, MetricPoint, ResultSummary, TelemetrySample } from '@selvedge/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeJoins } from './join-store.contract.ts';
import { describeResources } from './resource-store.contract.ts';
import { describeRunRecords } from './run-records.contract.ts';
import type { AnnounceChange, ChangeAction, Store } from './store.ts';

export interface StoreUnderTest {
  /** An empty store. */
  open(announce: AnnounceChange): Promise<Store>;
  /** Removes what `open` made, after the store was closed. */
  dispose(): Promise<void>;
}

const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-01T00:01:00.000Z';
const T2 = '2026-01-01T00:02:00.000Z';

const sample = (at: string, cpu: number | null): TelemetrySample => ({
  at,
  cpu,
  memoryUsedBytes: 1.5e10,
  memoryTotalBytes: 2e10,
  diskUsedBytes: null,
  diskTotalBytes: null,
  temperatureC: -3.25,
  networkRxBytes: 2 ** 40,
  networkTxBytes: 0,
  agentRssBytes: 4e7,
});

const workload = (version: string): DesiredWorkload => ({
  name: 'digits',
  kind: 'model-server',
  model: 'digits',
  version,
  manifest: { sha256: 'a'.repeat(64), sizeBytes: 12 },
  servingPort: 0,
});

/** What every Store must do; adapters call this from their test file. */
export function describeStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a Store`, () => {
    let under: StoreUnderTest;
    let store: Store;
    let announced: { action: ChangeAction; resource: AnyResource }[];

    beforeEach(async () => {
      announced = [];
      under = await make();
      store = await under.open((action, resource) => announced.push({ action, resource }));
    });
    afterEach(async () => {
      await store.close();
      await under.dispose();
    });

    describeResources(
      () => store,
      () => announced,
    );
    describeSeries(() => store);
    describeCredentials(() => store);
    describeDeviceRecords(() => store);
    describeLeases(() => store);
    describeJoins(() => store.joins);
    describeRunRecords(() => store);
  });
}

function describeSeries(store: () => Store): void {
  describe('series', () => {
    it('replaces a point of the same metric and step, and sorts', async () => {
      const point = (metric: string, step: number, value: number): MetricPoint => ({ metric, step, value, at: T0 });
      await store().appendMetricPoints('run-1', [point('train/loss', 2, 0.5), point('train/loss', 1, 0.75), point('train/loss', 2, 0.25)]);
      await store().appendMetricPoints('run-1', [point('accuracy', 10, 0.9), point('train/loss', 1, 0.875)]);
      await store().appendMetricPoints('run-2', [point('accuracy', 1, 0.1)]);
      expect(await store().readMetricPoints('run-1')).toEqual([
        point('accuracy', 10, 0.9),
        point('train/loss', 1, 0.875),
        point('train/loss', 2, 0.25),
      ]);
    });

    it('takes more points at once than one statement may hold', async () => {
      const points = Array.from({ length: 1_700 }, (_, step) => ({ metric: 'm', step, value: step / 2, at: T0 }));
      await store().appendMetricPoints('run-1', points);
      expect(await store().readMetricPoints('run-1')).toEqual(points);
    });

    it('gives as many points of each metric as a chart needs, real ones, first, last and peak among them', async () => {
      const wave = Array.from({ length: 3_000 }, (_, step) => ({ metric: 'a', step: step / 3, value: Math.sin(step / 7) / 3, at: T0 }));
      const peak = wave.map((point, index) => ({ ...point, metric: 'b', value: index === 1_234 ? 9.1 : 0.1, at: T1 }));
      const few = [{ metric: 'c', step: -1.5, value: 1e-300, at: T2 }];
      await store().appendMetricPoints('run-1', [...few, ...peak, ...wave.slice().reverse()]);
      const shown = await store().readMetricPoints('run-1', { max: 50 });
      const of = (metric: string) => shown.filter((point) => point.metric === metric);
      expect(shown.map(({ metric }) => metric)).toEqual([...Array(50).fill('a'), ...Array(50).fill('b'), 'c']);
      for (const point of of('a')) expect(point).toEqual(wave[Math.round(point.step * 3)]);
      expect(of('a').map(({ step }) => step)).toEqual(
        of('a')
          .map(({ step }) => step)
          .sort((x, y) => x - y),
      );
      expect([of('a')[0], of('a').at(-1)]).toEqual([wave[0], wave.at(-1)]);
      expect(of('b')).toContainEqual(peak[1_234]);
      expect(of('c')).toEqual(few);
      expect(await store().readMetricPoints('run-1', { max: 3_000 })).toEqual(await store().readMetricPoints('run-1'));
      expect(await store().readMetricPoints('none', { max: 50 })).toEqual([]);
    });

    it('keeps one sample per device and time, oldest first, and prunes', async () => {
      await store().appendTelemetry('d1', { samples: [sample(T1, 0.5), sample(T0, null)] });
      await Promise.all([
        store().appendTelemetry('d1', { samples: [sample(T1, 0.5), sample(T2, 1)] }),
        store().appendTelemetry('d2', { samples: [sample(T0, 0)] }),
      ]);
      expect(await store().readTelemetry('d1', T0)).toEqual([sample(T0, null), sample(T1, 0.5), sample(T2, 1)]);
      expect(await store().readTelemetry('d1', T1)).toHaveLength(2);
      expect(await store().pruneTelemetry(T1, T0)).toBe(2);
      expect(await store().readTelemetry('d2', T0)).toEqual([]);
      expect(await store().readTelemetry('none', T0)).toEqual([]);
    });

    it('takes each number of a spool once, in any order of the batches, and what it stands for with it', async () => {
      const at = (second: number) => new Date(Date.parse(T0) + second * 1000).toISOString();
      const numbered = (first: number, last: number, id = 's1') => ({
        samples: Array.from({ length: last - first + 1 }, (_, index) => ({ ...sample(at(first + index), 0.5), sequence: first + index })),
        spool: { id, first, last },
      });
      const count = async () => (await store().readTelemetry('d1', T0)).length;
      await store().appendTelemetry('d1', numbered(7, 9));
      await Promise.all([store().appendTelemetry('d1', numbered(1, 3)), store().appendTelemetry('d1', numbered(1, 3))]);
      expect(await count()).toBe(6);
      // Sent again at other times, because the device has learned how wrong its clock was.
      const again = numbered(1, 9);
      await store().appendTelemetry('d1', { ...again, samples: again.samples.map((each, index) => ({ ...each, at: at(100 + index) })) });
      expect(await count()).toBe(9);
      await store().appendTelemetry('d1', numbered(1, 9));
      expect(await count()).toBe(9);
      // Another spool counts from one as well; a record without a number does not belong to the batch.
      const other = numbered(201, 202, 's2');
      await store().appendTelemetry('d1', { ...other, samples: [...other.samples, sample(at(300), 1)] });
      expect(await count()).toBe(11);
      // All numbers of a batch are settled, also of records that it does not have any more.
      await store().appendTelemetry('d1', { samples: [], spool: { id: 's1', first: 10, last: 20 } });
      await store().appendTelemetry('d1', numbered(10, 21));
      expect(await count()).toBe(12);
      await store().appendTelemetry('d1', numbered(30, 31));
      const taken = await store().readTakenNumbers('d1', { spools: 5, ranges: 5 });
      const bySpool = new Map(taken.map(({ spool, ranges }) => [spool, ranges]));
      expect(bySpool.get('s1')).toEqual([
        { first: 1, last: 21 },
        { first: 30, last: 31 },
      ]);
      expect(bySpool.get('s2')).toEqual([{ first: 201, last: 202 }]);
      expect((await store().readTakenNumbers('d1', { spools: 1, ranges: 1 })).map(({ ranges }) => ranges.length)).toEqual([1]);
      expect(await store().readTakenNumbers('d2', { spools: 5, ranges: 5 })).toEqual([]);
    });

    it('keeps what models answered, and summaries for longer than what they are of', async () => {
      const result = (time: string, spanS: number, workload = 'w'): ResultSummary => ({
        ...{ at: time, spanS, workload, model: 'm', version: '1', requests: 10, errors: 1, p50Ms: 2.5, p95Ms: null },
        ...{
          latency: [
            [2, 4],
            [null, 1],
          ],
          confidence: [0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
          classes: [['a "b"', 3]],
        },
      });
      const extremes = { cpu: 0.5, memoryUsedBytes: null, diskUsedBytes: null, temperatureC: -3, agentRssBytes: null };
      const summary = { count: 60, spanS: 3540, min: extremes, max: extremes };
      const spool = { id: 's1', first: 1, last: 5 };
      const results = [result(T0, 300), result(T0, 3600, 'v'), result(T1, 300)].map((each, index) => ({ ...each, sequence: index + 1 }));
      const samples = [
        { ...sample(T0, 0.5), summary, sequence: 4 },
        { ...sample(T1, 0.5), sequence: 5 },
      ];
      await store().appendTelemetry('d1', { samples, results, spool });
      await store().appendTelemetry('d1', { samples, results, spool });
      expect(await store().readResults('d1', { sinceIso: T0 })).toEqual([result(T0, 3600, 'v'), result(T0, 300), result(T1, 300)]);
      expect(await store().readResults('d1', { sinceIso: T0, workload: 'v' })).toEqual([result(T0, 3600, 'v')]);
      expect(await store().readResults('d1', { sinceIso: T0, untilIso: T1, workload: 'w' })).toEqual([result(T0, 300)]);
      expect(await store().readResults('d1', { sinceIso: T0, model: 'm', version: '1', max: 1 })).toHaveLength(1);
      expect(await store().readResults('d1', { sinceIso: T0, version: '2' })).toEqual([]);
      expect(await store().readResults('d1', { sinceIso: T0, model: 'n' })).toEqual([]);
      expect(await store().readTelemetry('d1', T0)).toEqual([{ ...sample(T0, 0.5), summary }, sample(T1, 0.5)]);
      expect(await store().pruneTelemetry(T2, T0)).toBe(3);
      expect(await store().readResults('d1', { sinceIso: T0 })).toEqual([result(T0, 3600, 'v')]);
      expect(await store().readTelemetry('d1', T0)).toHaveLength(1);
      expect(await store().pruneTelemetry(T2, T2)).toBe(2);
    });
  });
}

function describeCredentials(store: () => Store): void {
  describe('credentials', () => {
    it('accepts a login code once and in time', async () => {
      await store().saveLoginCode({ codeSha256: 'c', user: 'admin', expiresAt: T1 });
      await store().saveLoginCode({ codeSha256: 'late', user: 'admin', expiresAt: T1 });
      expect(await store().takeLoginCode('c', T0)).toEqual({ user: 'admin' });
      expect(await store().takeLoginCode('c', T0)).toBeUndefined();
      expect(await store().takeLoginCode('late', T2)).toBeUndefined();
    });

    it('finds a session until it expires or is deleted', async () => {
      await store().saveSession({ idSha256: 'i', user: 'admin', expiresAt: T1 });
      expect(await store().findSession('i', T0)).toEqual({ user: 'admin' });
      expect(await store().findSession('i', T1)).toBeUndefined();
      await store().saveSession({ idSha256: 'i', user: 'admin', expiresAt: T2 });
      expect(await store().findSession('i', T1)).toEqual({ user: 'admin' });
      await store().deleteSession('i');
      expect(await store().findSession('i', T0)).toBeUndefined();
    });
  });
}

function describeDeviceRecords(store: () => Store): void {
  describe('device records', () => {
    it('keeps one pending certificate per device', async () => {
      const certificate = (serial: string) => ({ deviceUid: 'u', serial, fingerprint256: serial.repeat(64), notAfter: T2 });
      expect(await store().readPendingCertificate('d1')).toBeUndefined();
      await store().savePendingCertificate('d1', certificate('1'));
      await store().savePendingCertificate('d1', certificate('2'));
      expect(await store().readPendingCertificate('d1')).toEqual(certificate('2'));
      await store().deletePendingCertificate('d1');
      expect(await store().readPendingCertificate('d1')).toBeUndefined();
    });

    it('raises the revision of a desired state only when the workloads differ', async () => {
      const replace = async (device: string, workloads: DesiredWorkload[]) =>
        (await store().replaceDesiredStates(new Map([[device, { workloads }]]))).get(device)?.revision;
      const revisions: unknown[] = [];
      for (const workloads of [[], [], [workload('1')], [workload('1')], [workload('2')], []])
        revisions.push(await replace('d1', workloads));
      expect(revisions).toEqual([1, 1, 2, 2, 3, 4]);
      const both = await store().replaceDesiredStates(
        new Map([
          ['d1', { workloads: [] }],
          ['d2', { workloads: [workload('9')] }],
        ]),
      );
      expect([...both].map(([device, state]) => [device, state.revision])).toEqual([
        ['d1', 4],
        ['d2', 1],
      ]);
      expect(await store().readDesiredState('d2')).toEqual({ v: 1, revision: 1, workloads: [workload('9')] });
      expect([...(await store().listDesiredStates()).keys()]).toEqual(['d1', 'd2']);
      expect(await store().readDesiredState('none')).toBeUndefined();
    });

    it('keeps the budgets that go with a desired state; others raise its revision', async () => {
      const tell = async (budgets: DeviceBudgets | undefined) =>
        (await store().replaceDesiredStates(new Map([['d1', { workloads: [], budgets }]]))).get('d1')?.revision;
      expect(await tell({ trafficMiBPerDay: 5 })).toBe(1);
      expect(await tell({ trafficMiBPerDay: 5 })).toBe(1);
      expect(await store().readDesiredState('d1')).toEqual({ v: 1, revision: 1, workloads: [], budgets: { trafficMiBPerDay: 5 } });
      expect(await tell({ trafficMiBPerDay: 6 })).toBe(2);
      expect(await tell(undefined)).toBe(3);
      expect(await store().readDesiredState('d1')).toEqual({ v: 1, revision: 3, workloads: [] });
    });
  });
}

function describeLeases(store: () => Store): void {
  describe('leases', () => {
    it('belongs to one owner until it expires or is released', async () => {
      expect(await store().acquireLease('scheduler', 'a', T0, T1)).toBe(true);
      expect(await store().acquireLease('scheduler', 'b', T0, T1)).toBe(false);
      expect(await store().acquireLease('scheduler', 'a', T0, T1)).toBe(true);
      expect(await store().acquireLease('scheduler', 'b', T1, T2)).toBe(true);
      await store().releaseLease('scheduler', 'a');
      expect(await store().acquireLease('scheduler', 'a', T1, T2)).toBe(false);
      await store().releaseLease('scheduler', 'b');
      expect(await store().acquireLease('scheduler', 'a', T1, T2)).toBe(true);
    });

    it('goes to exactly one of many that ask at once', async () => {
      const won = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => store().acquireLease('scheduler', owner, T0, T1)));
      expect(won.filter(Boolean)).toHaveLength(1);
    });
  });
}
