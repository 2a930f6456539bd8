import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CaStatus, clockFault } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Product, ROOT } from './harness/product.ts';

const AGENT = join(ROOT, 'packages/agent/bin/selvedge-agent');

describe('joining and leaving', () => {
  let product: Product;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    product = await Product.create();
    await product.startServer();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await product.stop();
  });

  const identity = async (name: string) =>
    JSON.parse(await readFile(join(product.agentDir(name), 'identity.json'), 'utf8')) as { keyPem: string; certPem: string };

  function agent(args: readonly string[]) {
    const child = spawn(AGENT, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const run = { child, text: '', ended: once(child, 'close') };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        run.text += chunk.toString();
      });
    return run;
  }

  it('a join waits for approval, over Ctrl-C, kill -9 and a restart of the server, and shows the same key on both sides', async () => {
    const { token } = await product.cliJson<{ token: string }>(['device', 'token', '--approve', '--label', 'site=lab']);
    const args = ['join', product.deviceUrl, '--token', token, '--name', 'edge-1', '--dir', product.agentDir('edge-1')];
    const first = agent(args);
    await waitUntil(() => first.text.includes('selvedge device approve edge-1'), {
      timeoutMs: 20_000,
      what: 'the agent to say that it waits',
    });
    const { items } = await product.cliJson<{ items: { keySha256: string; name: string }[] }>(['device', 'pending']);
    expect(items).toHaveLength(1);
    expect(first.text).toContain(items[0]?.keySha256);
    first.child.kill('SIGINT');
    expect((await first.ended)[0]).toBe(130);
    const second = agent(args);
    await waitUntil(() => second.text.includes(items[0]?.keySha256 ?? '-'), { timeoutMs: 20_000, what: 'the same request' });
    second.child.kill('SIGKILL');
    await second.ended;
    const third = agent(args);
    await waitUntil(() => third.text.includes('waits for approval'), { timeoutMs: 20_000, what: 'the third run to wait' });
    await product.server.kill('SIGKILL');
    await product.startServer();
    expect((await product.cli(['device', 'approve', 'edge-1'])).code).toBe(0);
    expect((await third.ended)[0], third.text).toBe(0);
    expect(third.text).toContain('as device "edge-1"');
    expect((await product.device('edge-1')).metadata.labels).toEqual({ site: 'lab' });
    await product.startAgent('edge-1');
  });

  it('a rejected device hears so', async () => {
    const { token } = await product.cliJson<{ token: string }>(['device', 'token', '--approve']);
    const run = agent(['join', product.deviceUrl, '--token', token, '--name', 'edge-2', '--dir', product.agentDir('edge-2')]);
    await waitUntil(() => run.text.includes('waits for approval'), { timeoutMs: 20_000, what: 'the agent to wait' });
    expect((await product.cli(['device', 'reject', 'edge-2'])).code).toBe(0);
    expect((await run.ended)[0]).toBe(5);
    expect(run.text).toContain('rejected');
  });

  it('a renewal makes a new key, and the device goes on', async () => {
    await product.startAgent('edge-3');
    const before = await identity('edge-3');
    const serial = (await product.device('edge-3')).status.certificate.serial;
    const renewed = agent(['renew', '--dir', product.agentDir('edge-3')]);
    expect((await renewed.ended)[0], renewed.text).toBe(0);
    const after = await identity('edge-3');
    expect(after.keyPem).not.toBe(before.keyPem);
    expect((await product.device('edge-3')).status.certificate.serial).not.toBe(serial);
    await product.server.kill('SIGTERM');
    await product.startServer();
    await product.waitForDevice('edge-3', (device) => device.status.online, 'online with its new certificate');
  });

  it('the authority is changed without touching a device, also over kill -9 of the server', async () => {
    await product.startAgent('edge-4');
    const before = await product.cliJson<CaStatus>(['ca', 'show']);
    const key = (await identity('edge-4')).keyPem;
    const started = await product.cliJson<CaStatus>(['ca', 'rotate']);
    await product.server.kill('SIGKILL');
    await product.startServer();
    const ended = async () => {
      const status = await product.cliJson<CaStatus>(['ca', 'show']);
      return status.next === null && status.current.sha256 === started.next?.sha256 ? status : undefined;
    };
    const after = await waitUntil(ended, { timeoutMs: 90_000, intervalMs: 1000, what: 'the change of authorities to end' });
    expect(after.retired.map(({ sha256 }) => sha256)).toEqual([before.current.sha256]);
    expect((await identity('edge-4')).keyPem).not.toBe(key);
    await product.waitForDevice('edge-4', (one) => one.status.trusts?.join() === after.current.sha256, 'rid of the old authority', 90_000);
    await product.server.kill('SIGTERM');
    await product.startServer();
    await product.waitForDevice('edge-4', (device) => device.status.online, 'online', 60_000);
  }, 300_000);

  it('a removed device says so and leaves the server alone', async () => {
    const running = await product.startAgent('edge-5');
    expect((await product.cli(['device', 'remove', 'edge-5'])).code).toBe(0);
    await waitUntil(() => running.log.includes('was removed from its server'), { timeoutMs: 30_000, what: 'the agent to know' });
    await waitUntil(() => /"inMs":[12]\d{6}/.test(running.log) || /inMs\D+[23]\d{6}/.test(running.log), {
      timeoutMs: 30_000,
      what: 'a long pause',
    });
    expect(running.isAlive).toBe(true);
    const status = agent(['status', '--dir', product.agentDir('edge-5')]);
    await status.ended;
    expect(status.text).toContain('DEVICE_REVOKED');
  });

  it('groups select devices, and place and notes are kept', async () => {
    await product.startAgent('edge-6', { labels: { site: 'a', role: 'cam' } });
    await writeFile(join(product.agentDir('edge-6'), 'place.json'), JSON.stringify({ latitude: 1, longitude: 2 }));
    expect((await product.cli(['group', 'create', 'cams', '-l', 'role in (cam,lidar),site!=b'])).code).toBe(0);
    const listed = await product.cliJson<{ items: { metadata: { name: string } }[] }>(['device', 'list', '-l', '@cams']);
    expect(listed.items.map((item) => item.metadata.name)).toEqual(['edge-6']);
    expect((await product.cliJson<{ items: unknown[] }>(['device', 'list', '-l', '@cams,site!=a'])).items).toEqual([]);
    await product.cli(['device', 'set', 'edge-6', '--location', '52.5,13.4', '--place', 'hall 3', '--notes', 'new camera']);
    const inventory = JSON.parse((await product.cli(['device', 'inventory', '--list'])).stdout);
    expect(inventory).toMatchObject({
      group_cams: { hosts: ['edge-6'] },
      _meta: { hostvars: { 'edge-6': { selvedge_notes: 'new camera', selvedge_location: { place: 'hall 3', source: 'set' } } } },
    });
    const exported = await product.cli(['device', 'export']);
    await writeFile(join(product.dir, 'fleet.yaml'), exported.stdout);
    const applied = await product.cli(['apply', '-f', join(product.dir, 'fleet.yaml')]);
    expect(applied.stdout.match(/unchanged/g)).toHaveLength(2);
  });

  it('a device whose clock is in the past joins, connects and says so', async () => {
    const { token } = await product.cliJson<{ token: string }>(['device', 'token']);
    const shifted = join(product.dir, 'shifted.mjs');
    // What a machine without a battery shows: every clock that the program reads is at the beginning of 1970.
    const program = `const real = Date.now; const began = real(); const now = () => 86400000 + real() - began;
      globalThis.Date = class extends Date { constructor(...a) { if (a.length === 0) super(now()); else super(...a); } static now() { return now(); } };\n`;
    await writeFile(shifted, program);
    const env = { ...process.env, NODE_OPTIONS: `--import ${shifted}` };
    const dir = product.agentDir('edge-7');
    const joined = spawn(AGENT, ['join', product.deviceUrl, '--token', token, '--name', 'edge-7', '--dir', dir], { env, stdio: 'ignore' });
    expect((await once(joined, 'close'))[0]).toBe(0);
    children.push(spawn(AGENT, ['run', '--dir', dir], { env, stdio: 'ignore' }));
    const device = await product.waitForDevice('edge-7', (one) => one.status.clockOffsetMs !== undefined, 'known with its clock', 60_000);
    expect(clockFault(device)).toMatch(/years behind/);
    expect((await product.cli(['device', 'show', 'edge-7'])).stdout).toMatch(/Clock +off by \d+ years behind/);
  });
});
