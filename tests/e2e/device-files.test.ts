import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, realpath, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operation } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { besideOf, describeFolder } from '@selvedge/runtime/folder-archive';
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

  /** A folder of some megabytes, with a program and a link. */
  async function folder(name = 'site'): Promise<string> {
    const path = join(product.dir, name);
    await mkdir(join(path, 'maps/deep'), { recursive: true });
    await writeFile(join(path, 'index.html'), 'hello');
    await writeFile(join(path, 'maps/deep/large.bin'), randomBytes(10 * MIB));
    for (let at = 0; at < 300; at += 1) await writeFile(join(path, `maps/${at}.txt`), `tile ${at}`);
    await writeFile(join(path, 'run.sh'), '#!/bin/sh\n');
    await chmod(join(path, 'run.sh'), 0o755);
    await symlink('maps/deep/large.bin', join(path, 'newest'));
    return path;
  }

  it('brings a folder to several devices over links that are cut, once, and gets it back the same', async () => {
    const proxy = new CuttingProxy(product.deviceUrl);
    const roots = join(product.dir, 'shared');
    try {
      const url = await proxy.start();
      for (const name of ['edge-g', 'edge-h']) {
        await mkdir(join(roots, name), { recursive: true });
        await mkdir(product.agentDir(name), { recursive: true });
        await writeFile(join(product.agentDir(name), 'agent.json'), JSON.stringify({ files: { roots: [join(roots, name)] } }));
        await product.startAgent(name, { url, labels: { site: 'south' } });
      }
      const source = await folder();
      const wanted = await describeFolder(source);
      proxy.cutAfterBytes = 4 * MIB;
      for (const name of ['edge-g', 'edge-h']) {
        const operation = await pushed([name, source, `${roots}/${name}/www/`]);
        expect(operation.status.devices).toMatchObject([{ state: 'succeeded', changed: true }]);
        expect(await describeFolder(join(roots, name, 'www/site'))).toEqual(wanted);
        expect(await readdir(join(roots, name, 'www'))).toEqual(['site']);
      }
      expect(proxy.cuts).toBeGreaterThanOrEqual(4);
      proxy.cutAfterBytes = undefined;
      const again = await pushed(['edge-g', source, `${roots}/edge-g/www/site`]);
      expect(again.status.devices).toMatchObject([{ state: 'succeeded', changed: false }]);
      await writeFile(join(roots, 'edge-g/www/site/only-there'), 'x');
      const check = await pushed(['edge-g', source, `${roots}/edge-g/www/site`, '--check']);
      expect(check.status.devices).toMatchObject([{ state: 'succeeded', changed: true }]);
      expect(await readdir(join(roots, 'edge-g/www/site'))).toContain('only-there');
      await pushed(['edge-g', source, `${roots}/edge-g/www/site`]);
      expect(await describeFolder(join(roots, 'edge-g/www/site'))).toEqual(wanted);

      proxy.cutAfterBytes = 4 * MIB;
      const back = join(product.dir, 'back');
      const pull = (...more: string[]) => product.cli(['device', 'pull', 'edge-h', `${roots}/edge-h/www/site`, back, ...more]);
      const first = await pull();
      expect(first.code, first.stderr).toBe(0);
      expect(await describeFolder(back)).toEqual(wanted);
      await writeFile(join(back, 'mine'), 'x');
      const refused = await pull();
      expect(refused.code).toBe(4);
      expect(refused.stderr).toContain('--replace');
      expect(await readFile(join(back, 'mine'), 'utf8')).toBe('x');
      expect((await pull('--replace')).code).toBe(0);
      expect(await describeFolder(back)).toEqual(wanted);
      expect((await readdir(product.dir)).filter((name) => name.startsWith('.selvedge'))).toEqual([]);
    } finally {
      await proxy.stop();
    }
  });

  it('gets a folder from all devices with a label, and refuses what leads out of a folder', async () => {
    const root = join(product.dir, 'log');
    await mkdir(join(root, 'app'), { recursive: true });
    await writeFile(join(root, 'app/x.log'), 'line');
    for (const name of ['edge-i', 'edge-j']) {
      await mkdir(product.agentDir(name), { recursive: true });
      await writeFile(join(product.agentDir(name), 'agent.json'), JSON.stringify({ files: { roots: [], readRoots: [root] } }));
      await product.startAgent(name, { labels: { site: 'west' } });
    }
    const logs = join(product.dir, 'logs');
    const pulled = await product.cli(['device', 'pull', 'site=west', root, logs]);
    expect(pulled.code, pulled.stderr).toBe(0);
    for (const name of ['edge-i', 'edge-j']) expect(await readFile(join(logs, name, 'app/x.log'), 'utf8')).toBe('line');

    await symlink('/etc', join(root, 'app/way-out'));
    const refused = await product.cli(['device', 'pull', 'edge-i', `${root}/app`, join(product.dir, 'x')]);
    expect(refused.stderr).toContain('way-out');
    expect(refused.code).not.toBe(0);
    const source = await folder('out');
    expect((await product.cli(['device', 'push', 'edge-i', source, `${root}/x`])).code).toBe(5);
    await symlink('../../etc', join(source, 'maps/up'));
    const named = await product.cli(['device', 'push', 'edge-i', source, `${root}/x`]);
    expect(named.stderr).toContain('maps/up');
  });

  it('puts a folder in place that was cut by a kill of the agent, and never a part of it', async () => {
    const agent = await product.startAgent('edge-k');
    const files = await filesOf('edge-k');
    const source = await folder();
    await pushed(['edge-k', source, `${files}/site`]);
    const before = await describeFolder(source);
    await writeFile(join(source, 'index.html'), 'newer');
    const { metadata } = await pushed(['edge-k', source, `${files}/site`, '--limit', '5m', '--detach']);
    const hasPart = async () => (await readdir(files)).some((name) => name.endsWith('.part'));
    await waitUntil(hasPart, { timeoutMs: 30_000, what: 'a part of the archive' });
    await agent.kill('SIGKILL');
    expect(await describeFolder(join(files, 'site'))).toEqual(before);
    await product.startAgent('edge-k');
    const watched = await product.cli(['operation', 'watch', metadata.name]);
    expect(watched.code, watched.stderr).toBe(0);
    expect(await describeFolder(join(files, 'site'))).toEqual(await describeFolder(source));
    expect(await readdir(files)).toEqual(['site']);
  });

  it('has the folder again when the agent was killed between two renames, without the server', async () => {
    const agent = await product.startAgent('edge-l');
    const files = await filesOf('edge-l');
    await pushed(['edge-l', await folder(), `${files}/site`]);
    const wanted = await describeFolder(join(files, 'site'));
    await product.server.kill('SIGKILL');
    await agent.kill('SIGKILL');
    // what such an agent leaves behind
    const place = { folder: files, name: 'site' };
    const unfinished = join(product.agentDir('edge-l'), 'unfinished-folders');
    await writeFile(join(unfinished, 'site.json'), JSON.stringify(place));
    await rename(join(files, 'site'), besideOf(place, 'old'));
    await product.startAgent('edge-l', { wait: false });
    await waitUntil(async () => (await readdir(unfinished)).length === 0, { timeoutMs: 30_000, what: 'the folder to be settled' });
    expect(await describeFolder(join(files, 'site'))).toEqual(wanted);
    expect(await readdir(files)).toEqual(['site']);
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
