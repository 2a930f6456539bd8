import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './harness/product.ts';

interface Report {
  elapsedS: number;
  run: { reused: boolean };
  model: { version: string; metrics: { accuracy: number; f1: number } };
  devices: { name: string; servingVersion: string; accuracyOnDevice: number; p50Ms: number }[];
}

describe('npm run demo', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-demo-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function demo(args: readonly string[]): Promise<{ code: number; output: string }> {
    const child = spawn(process.execPath, ['scripts/demo.mjs', '--data', join(folder, 'data'), '--device-port', '0', ...args], {
      cwd: ROOT,
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = await once(child, 'close');
    return { code: Number(code), output };
  }

  async function demoReport(name: string): Promise<Report> {
    const path = join(folder, name);
    const { code, output } = await demo(['--once', '--port', '0', '--report', path, '--train', '2000', '--test', '200']);
    expect(code, output).toBe(0);
    expect(output).toContain('UI: http');
    return JSON.parse(await readFile(path, 'utf8')) as Report;
  }

  it('goes from pictures to three devices that are as right as the model was at home, and finds its data again', async () => {
    const first = await demoReport('first.json');
    expect(first.run.reused).toBe(false);
    expect(first.model.metrics.accuracy).toBeGreaterThanOrEqual(0.9);
    expect(first.devices.map((device) => device.name)).toEqual(['edge-1', 'edge-2', 'edge-3']);
    for (const device of first.devices) {
      expect(device.servingVersion).toBe(first.model.version);
      expect(Math.abs(device.accuracyOnDevice - first.model.metrics.accuracy)).toBeLessThanOrEqual(0.005);
      expect(device.p50Ms).toBeGreaterThan(0);
    }
    const second = await demoReport('second.json');
    expect(second.run.reused).toBe(true);
    expect(second.model.version).toBe(first.model.version);
  });

  it('says which port is taken and how to move it', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const port = (holder.address() as AddressInfo).port;
    const { code, output } = await demo(['--once', '--port', String(port)]);
    holder.close();
    expect(code).toBe(4);
    expect(output).toContain(`Port ${port}`);
    expect(output).toContain('--port');
  });

  it('refuses options that it does not know', async () => {
    const { code, output } = await demo(['--onec']);
    expect(code).toBe(2);
    expect(output).toContain('--onec');
  });
});
