import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operation } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CuttingProxy } from './harness/cutting-proxy.ts';
import { Product } from './harness/product.ts';

const MIB = 1024 * 1024;

describe('files to and from devices', () => {
  let product: Product;
  beforeEach(async () => {
    product = await Product.create();
    await product.startServer();
  });
  afterEach(() => product.stop());

  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  /** The folder that an agent allows unless told otherwise. */
  async function filesOf(device: string): Promise<string> {
    const folder = join(product.agentDir(device), 'files');
    await mkdir(folder, { recursive: true });
    return realpath(folder);
  }
  async function source(sizeBytes: number): Promise<{ path: string; digest: string }> {
    const path = join(product.dir, 'source.bin');
    const bytes = randomBytes(sizeBytes);
    await writeFile(path, bytes);
    return { path, digest: sha256(bytes) };
  }
  const pushed = (args: readonly string[]) => product.cliJson<Operation>(['device', 'push', ...args]);

  it('brings 50 MB over a link that is cut five times, and gets them back', async () => {
    const proxy = new CuttingProxy(product.deviceUrl);
    try {
      const url = await proxy.start();
      const agent = await product.startAgent('edge-a', { url });
      const files = await filesOf('edge-a');
      const { path, digest } = await source(50 * MIB);
      proxy.cutAfterBytes = 9 * MIB;
      const operation = await pushed(['edge-a', path, `${files}/deep/data.bin`]);
      expect(operation.status.devices).toMatchObject([{ state: 'succeeded', changed: true, progress: { doneBytes: 50 * MIB } }]);
      expect(proxy.cuts).toBeGreaterThanOrEqual(5);
      expect(agent.log).toContain('resuming');
      expect(sha256(await readFile(`${files}/deep/data.bin`))).toBe(digest);
      expect(await readdir(`${files}/deep`)).toEqual(['data.bin']);
      proxy.cutAfterBytes = undefined;

      const again = await pushed(['edge-a', path, `${files}/deep/data.bin`]);
      expect(again.status.devices).toMatchObject([{ state: 'succeeded', changed: false }]);

      const back = join(product.dir, 'back.bin');
      const pulled = await product.cli(['device', 'pull', 'edge-a', `${files}/deep/data.bin`, back]);
      expect(pulled.code, pulled.stderr).toBe(0);
      expect(sha256(await readFile(back))).toBe(digest);
    } finally {
      await proxy.stop();
    }
  });

  it('goes to all devices with a label, and comes back from each into its own folder', async () => {
    const roots = join(product.dir, 'shared');
    for (const name of ['edge-b', 'edge-c']) {
      const root = join(roots, name);
      await mkdir(root, { recursive: true });
      await mkdir(product.agentDir(name), { recursive: true });
      // both allow the same path: one folder stands for the same one on two machines
      await writeFile(join(product.agentDir(name), 'agent.json'), JSON.stringify({ files: { roots: [roots] } }));
      await product.startAgent(name, { labels: { site: 'north' } });
    }
    const { path, digest } = await source(100_000);
    const operation = await pushed(['site=north', path, `${roots}/app.bin`, '--parallel', '1', '--mode', '640']);
    expect(operation.spec).toMatchObject({ target: 'site=north', by: 'admin' });
    expect(operation.status.devices.map(({ device, state }) => `${device} ${state}`)).toEqual(['edge-b succeeded', 'edge-c succeeded']);
    expect((await stat(`${roots}/app.bin`)).mode & 0o777).toBe(0o640);
    const destination = join(product.dir, 'pulled');
    const pulled = await product.cli(['device', 'pull', 'site=north', `${roots}/app.bin`, destination]);
    expect(pulled.code, pulled.stderr).toBe(0);
    for (const name of ['edge-b', 'edge-c']) expect(sha256(await readFile(join(destination, name, 'app.bin')))).toBe(digest);
    const listed = await product.cli(['operation', 'list']);
    expect(listed.stdout).toMatch(/pull .*app\.bin.*site=north.*2 of 2 succeeded.*admin/);
  });

  it('refuses paths outside the allowed folders, also through links', async () => {
    await product.startAgent('edge-d');
    const files = await filesOf('edge-d');
    const outside = join(product.dir, 'outside');
    await mkdir(outside);
    await symlink(outside, join(files, 'way-out'));
    const { path } = await source(1000);
    for (const destination of ['/etc/selvedge-test', `${outside}/x`, `${files}/../x`, `${files}/way-out/x`]) {
      const refused = await product.cli(['device', 'push', 'edge-d', path, destination]);
      expect(refused.code, destination).toBe(5);
      expect(refused.stderr).toContain('does not allow');
    }
    expect(await readdir(outside)).toEqual([]);
    expect((await product.cli(['device', 'pull', 'edge-d', '/etc/hostname', join(product.dir, 'x')])).code).toBe(5);
    expect((await product.cli(['device', 'push', 'nobody', path, `${files}/x`])).code).toBe(3);
  });

  it('goes on where it was after the agent and the server were killed, and shows nothing half-written', async () => {
    const agent = await product.startAgent('edge-e');
    const files = await filesOf('edge-e');
    const { path, digest } = await source(24 * MIB);
    const begun = await pushed(['edge-e', path, `${files}/data.bin`, '--limit', '6m', '--detach']);
    const { name } = begun.metadata;
    const part = () => readdir(files).then((names) => names.find((one) => one.endsWith('.part')));
    const partBytes = async () => (await stat(join(files, (await part()) ?? 'none')).catch(() => undefined))?.size ?? 0;
    await waitUntil(async () => (await partBytes()) > 4 * MIB, { timeoutMs: 30_000, what: 'a part of the file' });
    await agent.kill('SIGKILL');
    const kept = await partBytes();
    expect(await readdir(files)).not.toContain('data.bin');
    await product.server.kill('SIGKILL');
    await product.startServer();
    await product.startAgent('edge-e');
    await waitUntil(async () => (await partBytes()) > kept, { timeoutMs: 30_000, what: 'the transfer to go on' });
    const watched = await product.cli(['operation', 'watch', name]);
    expect(watched.code, watched.stderr).toBe(0);
    expect(sha256(await readFile(join(files, 'data.bin')))).toBe(digest);
    expect(await readdir(files)).toEqual(['data.bin']);
  });

  it('is cancelled on the device too, and leaves nothing there', async () => {
    await product.startAgent('edge-f');
    const files = await filesOf('edge-f');
    const { path } = await source(8 * MIB);
    const { metadata } = await pushed(['edge-f', path, `${files}/data.bin`, '--limit', '512k', '--detach']);
    await waitUntil(async () => (await readdir(files)).length > 0, { timeoutMs: 30_000, what: 'a part of the file' });
    const cancelled = await product.cliJson<Operation>(['operation', 'cancel', metadata.name]);
    expect(cancelled.status).toMatchObject({ state: 'cancelled', cancelledBy: 'admin' });
    await waitUntil(async () => (await readdir(files)).length === 0, { timeoutMs: 30_000, what: 'the part to be removed' });
  });
});
