import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, type Operation } from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../adapters/sql/open-store.ts';
import type { Store } from '../ports/store.ts';
import { FleetView } from './fleet-view.ts';
import { type DeviceOutcome, type DeviceWork, handlerEntry } from './operation-handler.ts';
import { pruneOperations } from './operation-retention.ts';
import { OperationService } from './operation-service.ts';

type Exec = DeviceWork<'exec'>;

describe('OperationService', () => {
  let folder: string;
  let store: Store;
  let service: OperationService;
  let skewMs = 0;
  let run: (work: Exec) => Promise<DeviceOutcome>;
  const online = new Set<string>();
  const view = new FleetView();
  const log = createLogger({ name: 'test', level: 'error' });
  const clock = () => new Date(Date.now() + skewMs);
  const task = { type: 'exec' as const, argv: ['true'], timeoutS: 10 };

  const create = () =>
    new OperationService({
      store,
      view,
      isOnline: (device) => online.has(device),
      handlers: new Map([
        handlerEntry('exec', { waitsForDevices: false, expiresInS: 600, run: (work) => run(work) }),
        handlerEntry('reboot', { waitsForDevices: true, expiresInS: 600, run: async () => ({}) }),
      ]),
      log,
      clock,
    });
  const connect = (device: string) => {
    online.add(device);
    service.deviceIsReady(device);
  };
  const until = (name: string, check: (operation: Operation) => boolean): Promise<Operation> =>
    waitUntil(
      async () => {
        const found = await store.get('Operation', name);
        return found !== undefined && check(found) ? found : undefined;
      },
      { timeoutMs: 30_000, intervalMs: 5, what: `a state of ${name}` },
    );
  const ended = (name: string) => until(name, ({ status }) => status.finishedAt !== null);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'operations-'));
    store = await openStore({ file: join(folder, 'server.db'), announce: () => undefined, log });
    for (const [name, site] of [
      ['edge-1', 'north'],
      ['edge-2', 'north'],
      ['edge-3', 'south'],
    ] as const) {
      const status = { online: false, joinedAt: clock().toISOString(), lastSeenAt: null, info: null, workloads: [], telemetry: null };
      const certificate = { serial: '1', fingerprint256: '0'.repeat(64), notAfter: clock().toISOString() };
      await store.create('Device', {
        name,
        labels: { site },
        annotations: {},
        spec: {},
        status: { ...status, certificate, conflict: null, observedRevision: 0 },
      });
    }
    await view.load(store);
    run = async () => ({ exitCode: 0, output: 'done' });
    service = create();
    await service.start();
    // Devices that are away are so for good: the server has been up for long.
    skewMs += 3_600_000;
  });
  afterEach(async () => {
    await service.stop();
    await store.close();
    online.clear();
    await rm(folder, { recursive: true });
  });

  it('asks every device that matches, no more at one time than allowed, and records who asked and what came of it', async () => {
    connect('edge-1');
    connect('edge-2');
    let atOnce = 0;
    let most = 0;
    run = async ({ device }) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      if (device === 'edge-2') throw new AppError('WORKLOAD_FAILED', { message: 'no such program' });
      return { exitCode: 0, output: `hello from ${device}` };
    };
    const { metadata } = await service.create({ task, selector: 'site=north', parallel: 1, by: 'admin' });
    const { spec, status } = await ended(metadata.name);
    expect(most).toBe(1);
    expect(spec).toMatchObject({ by: 'admin', target: 'site=north', parallel: 1 });
    expect(status.state).toBe('failed');
    expect(status.devices).toMatchObject([
      { device: 'edge-1', state: 'succeeded', exitCode: 0, output: 'hello from edge-1' },
      { device: 'edge-2', state: 'failed', error: { code: 'WORKLOAD_FAILED' } },
    ]);
  });

  it('fails at once where a device is away, and waits for it where it is asked to', async () => {
    const one = await service.create({ task, device: 'edge-3', by: 'admin' });
    const failed = await ended(one.metadata.name);
    expect(failed.status.devices[0]?.error?.code).toBe('DEVICE_OFFLINE');
    const two = await service.create({ task, device: 'edge-3', wait: true, by: 'admin' });
    expect(two.status.state).toBe('waiting');
    connect('edge-3');
    expect((await ended(two.metadata.name)).status.state).toBe('succeeded');
  });

  it('refuses what no device matches and what it cannot do', async () => {
    await expect(service.create({ task, device: 'nobody', by: 'a' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(service.create({ task, selector: 'site=west', by: 'a' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(service.create({ task: { type: 'shell' }, device: 'edge-1', by: 'a' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('goes on after a restart of the server, and tells the handler that it had begun', async () => {
    connect('edge-1');
    const seen: boolean[] = [];
    run = ({ resumed, signal }) => {
      seen.push(resumed);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const { metadata } = await service.create({ task, selector: 'site=north', wait: true, by: 'admin' });
    await until(metadata.name, ({ status }) => status.devices[0]?.state === 'running' && seen.length === 1);
    await service.stop();
    online.clear();
    run = async ({ device, resumed }) => ({ exitCode: 0, output: `${device} ${resumed}` });
    service = create();
    await service.start();
    connect('edge-1');
    connect('edge-2');
    const { status } = await ended(metadata.name);
    expect(seen).toEqual([false]);
    expect(status.devices.map(({ output }) => output)).toEqual(['edge-1 true', 'edge-2 false']);
  });

  it('cancels: what runs is told, what waits does not begin', async () => {
    connect('edge-1');
    let reason: unknown;
    run = ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          reject(signal.reason);
        }),
      );
    const { metadata } = await service.create({ task, selector: 'site=north', parallel: 1, wait: true, by: 'admin' });
    await until(metadata.name, ({ status }) => status.devices[0]?.state === 'running');
    const cancelled = await service.cancel(metadata.name, 'somebody');
    expect(reason).toMatchObject({ code: 'CANCELLED' });
    expect(cancelled.status).toMatchObject({ state: 'cancelled', cancelledBy: 'somebody' });
    expect(cancelled.status.devices.map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
  });

  it('forgets what ended longer ago than the retention, and nothing that has not ended', async () => {
    connect('edge-1');
    const done = await service.create({ task, device: 'edge-1', by: 'admin' });
    await ended(done.metadata.name);
    const waiting = await service.create({ task, device: 'edge-2', wait: true, by: 'admin' });
    const kept: string[] = [];
    expect(await pruneOperations(store, clock(), ({ metadata }) => kept.push(metadata.name))).toBe(0);
    expect(kept.toSorted()).toEqual([done.metadata.name, waiting.metadata.name].toSorted());
    expect(await pruneOperations(store, new Date(clock().getTime() + 31 * 86_400_000), () => undefined)).toBe(1);
    expect((await store.list('Operation')).items.map(({ metadata }) => metadata.name)).toEqual([waiting.metadata.name]);
  });
});
