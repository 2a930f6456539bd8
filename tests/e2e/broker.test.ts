import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasMosquitto } from '../../packages/server/src/testing/mosquitto.ts';
import { Product } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

const SAMPLES = ['--telemetry-interval-s', '1', '--telemetry-batch-s', '1'];

describe.skipIf(!hasMosquitto)('devices over Mosquitto', () => {
  let product: Product;
  beforeAll(async () => {
    product = await startTrained({ broker: 'mosquitto' });
  });
  afterAll(() => product.stop());

  const device = (name: string) => product.cliJson<Device>(['get', 'device', name]);
  const until = (name: string, what: string, check: (device: Device) => boolean, timeoutMs = 40_000) =>
    waitUntil(async () => check(await device(name)), { timeoutMs, intervalMs: 200, what });

  it('joins, serves what is deployed, and answers commands', async () => {
    await product.startAgent('edge-1', { args: SAMPLES });
    const { broker } = JSON.parse(await readFile(join(product.agentDir('edge-1'), 'identity.json'), 'utf8')) as { broker: object };
    expect(broker).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    await deploy(product);
    await until('edge-1', 'version 1 to serve', ({ status }) => status.workloads.some(({ servingVersion }) => servingVersion === '1'));
    const logs = await product.cli(['device', 'logs', 'edge-1', '--lines', '5']);
    expect(logs.stdout + logs.stderr).toContain('connected to the server');
  });

  it('loses no sample that the broker has taken while the server was down, and knows at once who is there', async () => {
    const before = new Date().toISOString();
    await product.server.kill('SIGKILL');
    const downUntil = Date.now() + 5000;
    await waitUntil(() => Date.now() > downUntil, { timeoutMs: 30_000, what: 'some samples' });
    await product.startServer();
    await until('edge-1', 'the device to be online', ({ status }) => status.online);
    const api = await product.api();
    const seen = async () => {
      const { samples } = await api.getDeviceTelemetry({ params: { name: 'edge-1' }, query: { since: before } });
      return samples.filter(({ at }) => Date.parse(at) < downUntil).length;
    };
    await waitUntil(async () => (await seen()) >= 4, {
      timeoutMs: 20_000,
      intervalMs: 200,
      what: 'the samples of the time without a server',
    });
  });

  it('sees by the last will that a device is gone', async () => {
    const agent = await product.startAgent('edge-2');
    await agent.kill('SIGKILL');
    await until('edge-2', 'the device to be offline', ({ status }) => !status.online);
  });

  it('goes on when the broker was restarted', async () => {
    await product.mosquitto?.stop();
    await until('edge-1', 'the device to be offline', ({ status }) => !status.online);
    await product.mosquitto?.start();
    await until('edge-1', 'the device to be back', ({ status }) => status.online);
  });

  it('keeps a removed device out, at the broker as well', async () => {
    await product.startAgent('edge-3');
    expect((await product.cli(['device', 'remove', 'edge-3'])).code).toBe(0);
    const status = () => readFile(join(product.agentDir('edge-3'), 'refused.json'), 'utf8').catch(() => '');
    await waitUntil(async () => (await status()).includes('DEVICE_REVOKED'), {
      timeoutMs: 20_000,
      what: 'the device to know that it was removed',
    });
    expect(product.mosquitto?.log).toMatch(/edge-3 already connected, closing old connection[\s\S]*certificate verify failed/);
  });
});

describe.skipIf(!hasMosquitto)('a change of the broker', () => {
  it('is followed by devices that have joined before, and back', async () => {
    const product = await Product.create();
    product.broker = undefined;
    const isOnline = async () => (await product.cliJson<Device>(['get', 'device', 'edge-1'])).status.online;
    try {
      await product.startServer();
      await product.startAgent('edge-1');
      await product.server.kill('SIGTERM');
      product.broker = 'mosquitto';
      await product.startServer();
      await waitUntil(isOnline, { timeoutMs: 60_000, intervalMs: 200, what: 'the device over Mosquitto' });
      expect(product.mosquitto?.log).toContain('as edge-1');
      await product.server.kill('SIGTERM');
      await product.mosquitto?.stop();
      product.broker = undefined;
      await product.startServer();
      await waitUntil(isOnline, { timeoutMs: 150_000, intervalMs: 200, what: 'the device on the device port' });
    } finally {
      await product.stop();
    }
  });
});
