import { randomBytes } from 'node:crypto';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { CuttingProxy } from './harness/cutting-proxy.ts';
import type { Product } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

describe('faults on the device', () => {
  let product: Product;
  beforeEach(async () => {
    product = await startTrained();
  });
  afterEach(() => product.stop());

  const serves = (version: string) => (device: { status: { workloads: { servingVersion: string | null; state: string }[] } }) =>
    device.status.workloads.some((workload) => workload.servingVersion === version && workload.state === 'serving');

  async function pictureBody(): Promise<Uint8Array> {
    const folder = join(inject('pictures'), 'test/7');
    const [file] = (await readdir(folder)).sort();
    return readFile(join(folder, file!));
  }

  async function servesAt(port: number): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/v1/infer`, {
        method: 'POST',
        body: await pictureBody(),
        headers: { 'content-type': 'image/png' },
      });
      return response.ok;
    } catch {
      return false; // nobody listens yet
    }
  }

  it('agent killed: the model is served again after its restart, with the server down', async () => {
    await deploy(product);
    const agent = await product.startAgent('edge-a');
    const device = await product.waitForDevice('edge-a', serves('1'), 'serving');
    const port = device.status.workloads[0]!.port!;
    expect(await servesAt(port)).toBe(true);
    await product.server.kill('SIGKILL');
    await agent.kill('SIGKILL');
    await waitUntil(async () => !(await servesAt(port)), { timeoutMs: 30_000, what: 'the orphan to end' });
    await product.startAgent('edge-a', { wait: false });
    // It takes about a second; a machine that has lost its page cache to other work needs more.
    await waitUntil(() => servesAt(port), { timeoutMs: 30_000, intervalMs: 50, what: 'the model to be served again' });
  });

  it('a download that is cut again and again is resumed, and what is served is whole', async () => {
    const proxy = new CuttingProxy(product.deviceUrl);
    try {
      const url = await proxy.start();
      const agent = await product.startAgent('edge-b', { url });
      const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
      proxy.cutAfterBytes = Math.floor(versions[0]!.spec.file.sizeBytes / 3);
      await deploy(product);
      await waitUntil(() => proxy.cuts >= 2, { timeoutMs: 60_000, what: 'two cuts' });
      await product.waitForDevice('edge-b', serves('1'), 'serving', 60_000);
      expect(agent.log).toContain('resuming');
    } finally {
      await proxy.stop();
    }
  });

  it('a corrupted file is never served, and the reason reaches "selvedge device show"', async () => {
    const { versions } = await (await product.api()).getModel({ params: { name: 'digits' } });
    const { sha256, sizeBytes } = versions[0]!.spec.file;
    const blob = join(product.dataDir, 'blobs/sha256', sha256.slice(0, 2), sha256);
    const good = await readFile(blob);
    await writeFile(blob, Buffer.concat([good.subarray(0, sizeBytes - 100), randomBytes(100)]));
    await product.startAgent('edge-c');
    await deploy(product);
    const device = await product.waitForDevice(
      'edge-c',
      (candidate) => candidate.status.workloads.some((workload) => workload.error !== null),
      'in error',
    );
    expect(device.status.workloads[0]).toMatchObject({ servingVersion: null, error: { code: 'DIGEST_MISMATCH' } });
    const shown = await product.cli(['device', 'show', 'edge-c']);
    expect(shown.stdout).toContain('DIGEST_MISMATCH');
    await writeFile(blob, good);
    await product.waitForDevice('edge-c', serves('1'), 'serving', 90_000);
  });

  it('a file that rots on the device is fetched again instead of served', async () => {
    await deploy(product);
    const agent = await product.startAgent('edge-d');
    await product.waitForDevice('edge-d', serves('1'), 'serving');
    await agent.kill('SIGTERM');
    const files = (await readdir(product.agentDir('edge-d'), { recursive: true })).filter((file) => file.endsWith('.onnx'));
    expect(files).toHaveLength(1);
    const path = join(product.agentDir('edge-d'), files[0]!);
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0, 1000, 1100));
    await product.waitForDevice('edge-d', (device) => !device.status.online, 'offline');
    await product.startAgent('edge-d');
    // What the server shows at first may be what the device said before it was stopped.
    const isHealed = async () => {
      const now = await readFile(path).catch(() => undefined);
      return now?.length === bytes.length && !now.subarray(1000, 1100).every((byte) => byte === 0);
    };
    await waitUntil(isHealed, { timeoutMs: 60_000, what: 'the file to be fetched again' });
    await product.waitForDevice('edge-d', serves('1'), 'serving', 60_000);
  });

  it('a device that was removed is refused with its next packet', async () => {
    const agent = await product.startAgent('edge-e');
    const removed = await product.cli(['device', 'remove', 'edge-e']);
    expect(removed.code, removed.stderr).toBe(0);
    await waitUntil(() => /DEVICE_REVOKED|refused|removed/i.test(agent.log), { timeoutMs: 15_000, what: 'the agent to be refused' });
    expect((await product.cli(['device', 'show', 'edge-e'])).code).toBe(3);
    expect((await product.cliJson<{ items: unknown[] }>(['get', 'devices'])).items ?? []).toEqual([]);
  });

  it('a second agent with a copied certificate shows as a conflict', async () => {
    await product.startAgent('edge-f');
    const copy = join(product.dir, 'copied');
    // The agent goes on writing meanwhile: what has no name yet is gone before it can be copied.
    await cp(product.agentDir('edge-f'), copy, { recursive: true, filter: (path) => !path.endsWith('.tmp') });
    // On the thief's machine the process that holds the lock does not exist.
    await rm(join(copy, 'agent.lock'));
    await product.startAgent('edge-f', { dir: copy, wait: false });
    const device = await product.waitForDevice('edge-f', (candidate) => candidate.status.conflict !== null, 'in conflict', 60_000);
    expect(device.status.conflict!.instances.length).toBeGreaterThanOrEqual(2);
    expect((await product.cli(['device', 'show', 'edge-f'])).stdout).toMatch(/conflict/i);
  });
});
