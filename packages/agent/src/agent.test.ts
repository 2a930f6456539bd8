import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, waitUntil } from '@selvedge/runtime';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askLocal } from './adapters/process/local-http.ts';
import { makePackage } from './test-support/make-package.ts';
import { serialOf, TestServer } from './test-support/test-server.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const DEVICE = 'device-1';
const agents = new Set<ChildProcess>();
let server: TestServer;
let dir: string;
let log: string;

function spawnAgent(args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout?.on('data', (chunk) => (log += chunk));
  child.stderr?.on('data', (chunk) => (log += chunk));
  agents.add(child);
  child.on('exit', () => agents.delete(child));
  return child;
}

/** Runs to the end; returns the exit code and what was printed. */
async function command(...args: string[]): Promise<{ code: number | null; text: string }> {
  log = '';
  const child = spawnAgent(args);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, text: log };
}

const joinDevice = () => command('join', server.url, '--token', server.token, '--dir', dir);
const run = () => spawnAgent(['run', '--dir', dir, '--log-level', 'debug']);
const exited = (child: ChildProcess) =>
  new Promise<void>((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve() : child.on('exit', () => resolve())));

async function picture(): Promise<Buffer> {
  return sharp({ create: { width: 8, height: 8, channels: 3, background: '#10f020' } })
    .png()
    .toBuffer();
}

async function inferAt(port: number): Promise<{ version: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/infer`, {
    method: 'POST',
    body: new Uint8Array(await picture()),
    headers: { 'content-type': 'image/png' },
  });
  return (await response.json()) as { version: string };
}

/** Pids of the model servers that were started for this folder. */
async function modelServers(): Promise<number[]> {
  const pids: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (line.includes('model-server') && line.includes(dir)) pids.push(Number(entry));
  }
  return pids;
}

beforeEach(async () => {
  log = '';
  server = await TestServer.start();
  dir = await mkdtemp(join(tmpdir(), 'selvedge-agent-'));
});
afterEach(async (context) => {
  for (const child of agents) child.kill('SIGKILL');
  await Promise.all([...agents].map(exited));
  await server.stop();
  await rm(dir, { recursive: true, force: true });
  if (context.task.result?.state === 'fail') process.stderr.write(log.slice(-6000));
});

describe('agent join', () => {
  it('makes a key that only its owner reads, and says so when it has joined already', async () => {
    const first = await joinDevice();
    expect(first).toMatchObject({ code: 0, text: expect.stringContaining('device "device-1"') });
    expect((await stat(join(dir, 'key.pem'))).mode & 0o777).toBe(0o600);
    const serial = serialOf(await readFile(join(dir, 'cert.pem'), 'utf8'));
    expect(await joinDevice()).toMatchObject({ code: 0, text: expect.stringContaining('has joined') });
    expect(serialOf(await readFile(join(dir, 'cert.pem'), 'utf8'))).toBe(serial);
  });

  it('does not tell its secret to a server with another CA', async () => {
    const other = await TestServer.start();
    const result = await command('join', other.url, '--token', server.token, '--dir', dir);
    expect(result).toMatchObject({ code: 5, text: expect.stringContaining('not the one that issued this token') });
    expect(await readdir(dir)).toEqual([]);
    await other.stop();
  });

  it('explains a wrong token, a wrong address and a wrong flag', async () => {
    expect(await command('join', server.url, '--token', 'x', '--dir', dir)).toMatchObject({ code: 5 });
    expect(await command('join', `https://127.0.0.1:${await freePort()}`, '--token', server.token, '--dir', dir)).toMatchObject({
      code: 7,
    });
    expect(await command('join', server.url, '--tokn', 'x')).toMatchObject({ code: 2 });
    expect(await command('run', '--dir', dir)).toMatchObject({ code: 4, text: expect.stringContaining('has not joined') });
  });
});

describe('agent run', () => {
  it('serves what is desired, answers commands, reports, and swaps versions under load without a failed request', async () => {
    await joinDevice();
    const one = makePackage({ version: '1' });
    const two = makePackage({ version: '2', gain: 2 });
    server.addPackage(one);
    server.addPackage(two);
    await server.desire(DEVICE, [server.workload(one)]);
    const agent = run();
    const { port } = await server.reported('serves 1', (workload) => workload.servingVersion === '1' && workload.state === 'serving');
    const reply = await server.command(DEVICE, {
      id: 'c1',
      type: 'infer',
      workload: 'colours',
      contentType: 'image/png',
      bodyBase64: (await picture()).toString('base64'),
      expiresAt: new Date(Date.now() + 10_000).toISOString(),
    });
    expect(reply.outcome).toMatchObject({ ok: true, infer: { version: '1', result: { top: { label: 'green' } } } });
    expect(server.messages.some((message) => message.topic.endsWith('/telemetry'))).toBe(true);

    let stop = false;
    const seen: string[] = [];
    const load = [1, 2, 3].map(async () => {
      while (!stop) seen.push((await inferAt(port!)).version);
    });
    // New connections all the time, as from clients without keep-alive.
    let connections = 0;
    const knocking = (async () => {
      while (!stop) {
        expect((await askLocal(port!, { method: 'GET', path: '/v2/health/ready', timeoutMs: 5000 })).status).toBe(200);
        connections += 1;
      }
    })();
    await server.desire(DEVICE, [server.workload(two)]);
    const swapped = await server.reported('serves 2', (workload) => workload.servingVersion === '2');
    expect(swapped).toMatchObject({ previousVersion: '1', port, error: null, restarts: 0 });
    await waitUntil(() => seen.at(-1) === '2', { timeoutMs: 5000, what: 'answers of version 2' });
    stop = true;
    await Promise.all([...load, knocking]);
    expect(connections).toBeGreaterThan(10);
    expect(new Set(seen)).toEqual(new Set(['1', '2']));
    expect(seen.indexOf('2')).toBeGreaterThan(0);
    await waitUntil(async () => (await modelServers()).length === 1, { timeoutMs: 15_000, what: 'the old version to end' });

    await server.desire(DEVICE, []);
    await waitUntil(() => server.reports.at(-1)?.workloads.length === 0, { timeoutMs: 15_000, what: 'the workload to go' });
    expect(await modelServers()).toEqual([]);
    await waitUntil(async () => (await readdir(join(dir, 'versions'))).length === 0, { timeoutMs: 5000, what: 'the files to go' });

    const startedAt = performance.now();
    agent.kill('SIGTERM');
    await exited(agent);
    expect(agent.exitCode).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    const presence = server.messages.filter((message) => message.topic.endsWith('/presence'));
    expect(presence.map((message) => JSON.parse(message.payload).online)).toEqual([true, false]);
  }, 90_000);

  it('serves again after kill -9 with the server gone, and its children go with it', async () => {
    await joinDevice();
    const pack = makePackage();
    server.addPackage(pack);
    await server.desire(DEVICE, [server.workload(pack)]);
    const agent = run();
    const { port } = await server.reported('serves', (workload) => workload.state === 'serving');
    await server.close();
    agent.kill('SIGKILL');
    await exited(agent);
    await waitUntil(async () => (await modelServers()).length === 0, { timeoutMs: 5000, what: 'the model server to end' });
    run();
    const again = await waitUntil(() => inferAt(port!).catch(() => undefined), { timeoutMs: 10_000, what: 'the model to be served again' });
    expect(again.version).toBe('1');
  }, 60_000);

  it('starts a killed model server again and counts it', async () => {
    await joinDevice();
    const pack = makePackage();
    server.addPackage(pack);
    await server.desire(DEVICE, [server.workload(pack)]);
    run();
    const { port } = await server.reported('serves', (workload) => workload.state === 'serving');
    for (const pid of await modelServers()) process.kill(pid, 'SIGKILL');
    await server.reported('was restarted', (workload) => workload.restarts === 1 && workload.state === 'serving');
    expect((await inferAt(port!)).version).toBe('1');
  }, 60_000);

  it('never serves a corrupted file: reports it and fetches it again', async () => {
    await joinDevice();
    const pack = makePackage();
    server.addPackage(pack);
    await server.desire(DEVICE, [server.workload(pack)]);
    const agent = run();
    await server.reported('serves', (workload) => workload.state === 'serving');
    agent.kill('SIGTERM');
    await exited(agent);
    const [key] = await readdir(join(dir, 'versions', 'colours'));
    const path = join(dir, 'versions', 'colours', key!, 'model.onnx');
    const bytes = await readFile(path);
    bytes[bytes.length - 3]! ^= 1;
    await chmod(path, 0o644);
    await writeFile(path, bytes);
    server.reports.length = 0;
    const good = pack.manifest.files[0]!.sha256;
    const content = server.blobs.get(good)!;
    server.blobs.delete(good);
    run();
    await server.reported('names the damage', (workload) => workload.error?.code === 'DIGEST_MISMATCH' && workload.servingVersion === null);
    server.blobs.set(good, content);
    await server.reported('serves again', (workload) => workload.state === 'serving' && workload.error === null);
  }, 60_000);

  it('resumes a download that was cut, where it broke', async () => {
    await joinDevice();
    const pack = makePackage({ bulkBytes: 3_000_000 });
    server.addPackage(pack);
    let cuts = 0;
    server.blobFault = (response, content, offset) => {
      if (content.length !== 3_000_000 || cuts >= 2) return false;
      cuts += 1;
      response.writeHead(offset > 0 ? 206 : 200, { 'content-length': content.length - offset });
      response.write(content.subarray(offset, offset + 1_000_000), () => response.destroy());
      return true;
    };
    await server.desire(DEVICE, [server.workload(pack)]);
    run();
    await server.reported('serves', (workload) => workload.state === 'serving');
    const bulk = server.blobRequests.filter(({ sha256 }) => server.blobs.get(sha256)?.length === 3_000_000);
    expect(bulk.length).toBe(3);
    expect(bulk.at(-1)!.offset).toBeGreaterThan(bulk[1]!.offset);
    expect(bulk[1]!.offset).toBeGreaterThan(0);
  }, 60_000);

  it('keeps the version that serves when the new one fails its self-test, and says why', async () => {
    await joinDevice();
    const good = makePackage({ version: '1' });
    const bad = makePackage({ version: '2', badGolden: true });
    server.addPackage(good);
    server.addPackage(bad);
    await server.desire(DEVICE, [server.workload(good)]);
    run();
    await server.reported('serves 1', (workload) => workload.servingVersion === '1');
    await server.desire(DEVICE, [server.workload(bad)]);
    const failed = await server.reported('failed', (workload) => workload.state === 'failed');
    expect(failed).toMatchObject({ servingVersion: '1', desiredVersion: '2', error: { code: 'WORKLOAD_FAILED' } });
    expect(failed.error?.message).toMatch(/self-test/);
    expect((await inferAt(failed.port!)).version).toBe('1');
  }, 60_000);

  it('reports a taken port, and serves there once it is free', async () => {
    await joinDevice();
    const pack = makePackage();
    server.addPackage(pack);
    const squatter = createServer();
    const port = await new Promise<number>((resolve) =>
      squatter.listen(0, '127.0.0.1', () => resolve((squatter.address() as { port: number }).port)),
    );
    await server.desire(DEVICE, [server.workload(pack, { servingPort: port })]);
    run();
    await server.reported('names the port', (workload) => workload.error?.code === 'PORT_IN_USE');
    squatter.close();
    await server.reported('serves there', (workload) => workload.state === 'serving' && workload.port === port);
  }, 60_000);

  it('reconnects when the server comes back, and reports anew', async () => {
    await joinDevice();
    run();
    await waitUntil(() => server.reports.length > 0, { timeoutMs: 10_000, what: 'a report' });
    await server.close();
    server.reports.length = 0;
    await server.listen();
    await waitUntil(() => server.reports.length > 0, { timeoutMs: 15_000, what: 'a report after the reconnection' });
  }, 60_000);

  it('renews its certificate when a third of its life is left, and connects with the new one', async () => {
    server.certificateLifeMs = 20_000; // valid since a minute ago: far more than two thirds are over
    await joinDevice();
    const before = serialOf(await readFile(join(dir, 'cert.pem'), 'utf8'));
    server.certificateLifeMs = 3_600_000;
    run();
    await waitUntil(async () => serialOf(await readFile(join(dir, 'cert.pem'), 'utf8')) !== before, {
      timeoutMs: 20_000,
      what: 'a new certificate',
    });
    expect(server.renewals).toBe(1);
  }, 60_000);

  it('refuses a second agent in its folder, and takes over the lock of one that was killed', async () => {
    await joinDevice();
    const agent = run();
    await waitUntil(() => server.reports.length > 0, { timeoutMs: 10_000, what: 'a report' });
    expect(await command('run', '--dir', dir)).toMatchObject({ code: 4, text: expect.stringContaining(`process ${agent.pid}`) });
    expect(await command('status', '--dir', dir)).toMatchObject({
      code: 0,
      text: expect.stringContaining(`running, process ${agent.pid}`),
    });
    agent.kill('SIGKILL');
    await exited(agent);
    server.reports.length = 0;
    run();
    await waitUntil(() => server.reports.length > 0, { timeoutMs: 10_000, what: 'a report of the second agent' });
  }, 60_000);
});
