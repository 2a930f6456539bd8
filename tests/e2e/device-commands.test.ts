import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Product, ROOT } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

const CLI = join(ROOT, 'packages/cli/bin/selvedge.mjs');
const SH = { allow: [{ argv: ['sh', '-c', '*'] }, { argv: ['echo', '**'] }] };

describe('commands, logs and shells of devices', () => {
  let product: Product;
  let folder: string;
  const children = new Set<ChildProcess>();

  beforeAll(async () => {
    product = await startTrained();
    folder = await mkdtemp(join(tmpdir(), 'selvedge-commands-'));
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  afterAll(async () => {
    await product.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts an agent whose agent.json says this. */
  async function start(name: string, settings: object, options: { url?: string; labels?: Record<string, string> } = {}) {
    mkdirSync(product.agentDir(name), { recursive: true });
    await writeFile(join(product.agentDir(name), 'agent.json'), JSON.stringify(settings));
    return product.startAgent(name, { labels: { site: 'commands' }, ...options });
  }

  /** A command of the CLI that goes on while the test does. */
  function begin(args: readonly string[]) {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: ROOT,
      env: { ...process.env, SELVEDGE_DATA: product.dataDir, NO_COLOR: '1' },
    });
    children.add(child);
    child.on('exit', () => children.delete(child));
    const seen = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      seen.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      seen.stderr += chunk.toString();
    });
    const ended = once(child, 'close').then(([code]) => Number(code));
    return { child, seen, ended };
  }

  async function processesLike(pattern: RegExp): Promise<string[]> {
    const lines = await Promise.all(
      (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    return lines.filter((line) => pattern.test(line.replaceAll('\0', ' ')));
  }

  it('runs a command on the devices with a label and tells how it ended on each', async () => {
    const labels = { site: 'pair' };
    await start('pair-1', { commands: SH }, { labels });
    await start('pair-2', { commands: SH }, { labels });
    const script = `case $HOME in *) echo hello; echo warning >&2; exit 0;; esac`;
    const both = await product.cli(['device', 'exec', '-l', 'site=pair', '--', 'sh', '-c', script]);
    expect(both).toMatchObject({ code: 0, stderr: expect.stringContaining('pair-2 | warning') });
    expect(both.stdout.split('\n').sort()).toEqual(['', 'pair-1 | hello', 'pair-2 | hello']);
    const failing = await product.cli(['device', 'exec', '-l', 'site=pair', '--output-dir', folder, '--', 'sh', '-c', 'echo out; exit 3']);
    expect(failing.code).toBe(6);
    expect(await readFile(join(folder, 'pair-1.out'), 'utf8')).toBe('out\n');
    const one = await product.cli(['device', 'exec', 'pair-1', '--', 'sh', '-c', 'echo out; exit 3']);
    expect(one).toMatchObject({ code: 3, stdout: 'out\n' });
    const asJson = await product.cli(['device', 'exec', 'pair-1', '-o', 'json', '--', 'echo', '$HOME', '-n']);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ devices: [{ device: 'pair-1', exitCode: 0, stdout: '$HOME -n\n', stderr: '' }] });
    const { items } = await product.cliJson<{ items: { spec: { by: string; task: object }; status: { devices: object[] } }[] }>([
      'operation',
      'list',
      '--device',
      'pair-1',
    ]);
    expect(items.map(({ spec }) => spec.task)).toContainEqual({ type: 'exec', argv: ['sh', '-c', 'echo out; exit 3'], timeoutS: 60 });
    expect(items.find(({ spec }) => JSON.stringify(spec.task).includes('-n'))?.status.devices).toMatchObject([{ output: '$HOME -n\n' }]);
  });

  it('leaves it to the device what may run, with exit code 5', async () => {
    await start('strict', {});
    const refused = await product.cli(['device', 'exec', 'strict', '--', 'uptime']);
    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain(join(product.agentDir('strict'), 'agent.json'));
    for (const command of [
      ['shell', 'strict'],
      ['reboot', 'strict'],
    ])
      expect((await product.cli(['device', ...command])).code).toBe(5);
    const away = await product.cli(['device', 'exec', 'nobody', '--', 'uptime']);
    expect(away.code).toBe(3);
  });

  it('ends a command with all that it started when its time is over and when it is interrupted', async () => {
    await start('ending', { commands: SH });
    const mark = `8${process.pid}`;
    const late = await product.cli(['device', 'exec', 'ending', '--timeout', '1s', '--', 'sh', '-c', `sleep ${mark}1 & sleep ${mark}2`]);
    expect(late).toMatchObject({ code: 7, stderr: expect.stringContaining('longer than 1 s') });
    const { child, seen, ended } = begin(['device', 'exec', 'ending', '--', 'sh', '-c', `sleep ${mark}3 & echo up; wait`]);
    await waitUntil(() => seen.stdout.includes('up') || undefined, { timeoutMs: 20_000, what: 'the command' });
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    await waitUntil(async () => (await processesLike(new RegExp(`^sleep ${mark}`))).length === 0 || undefined, {
      timeoutMs: 20_000,
      what: 'everything to end',
    });
  });

  it('brings 5 MB whole and once over a link that is cut again and again', async () => {
    const { proxy, url, stop } = await product.relay();
    try {
      proxy.cutAfterSentBytes = 2_500_000;
      proxy.cut(); // the limit is one of new connections
      await start('far', { commands: SH }, { url });
      const script = 'i=0; while [ $i -lt 100000 ]; do echo "line $i ........................................"; i=$((i+1)); done';
      const run = await product.cli(['device', 'exec', 'far', '--timeout', '120s', '--', 'sh', '-c', script]);
      expect(run.code).toBe(0);
      const lines = run.stdout.trimEnd().split('\n');
      expect(run.stdout.length).toBeGreaterThan(5_000_000);
      expect(lines).toHaveLength(100_000);
      expect(lines.findIndex((line, at) => !line.startsWith(`line ${at} `))).toBe(-1);
      expect(proxy.cuts).toBeGreaterThanOrEqual(3);
    } finally {
      await stop();
    }
  });

  it('follows a log over a cut link and a restart of the agent without a lost or a doubled line', async () => {
    const { proxy, url, stop } = await product.relay();
    try {
      const agent = await start('chatty', { commands: SH }, { url });
      const { child, seen, ended } = begin(['device', 'logs', 'chatty', '-f', '-n', '1000', '-o', 'json']);
      const lines = () =>
        seen.stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as { sequence: number; text: string });
      const count = (part: string) => lines().filter(({ text }) => text.includes(part)).length;
      const until = (part: string, times: number) =>
        waitUntil(() => count(part) >= times || undefined, { timeoutMs: 40_000, what: `${times} lines with ${part}` });
      await until('"connected to the server"', 1);
      const say = (word: string) => product.cli(['device', 'exec', 'chatty', '--', 'echo', word]);
      await say('mark-1');
      await until('mark-1', 1);
      proxy.cut();
      await until('"connected to the server"', 2);
      await say('mark-2');
      await until('mark-2', 1);
      await agent.kill('SIGTERM');
      await product.waitForDevice('chatty', (device) => !device.status.online, 'offline');
      await product.startAgent('chatty');
      await say('mark-3');
      await until('mark-3', 1);
      child.kill('SIGINT');
      expect(await ended).toBe(130);
      const all = lines();
      expect(new Set(all.map(({ sequence }) => sequence)).size).toBe(all.length);
      const kept = await product.cli(['device', 'logs', 'chatty', '-n', '1000', '-o', 'json']);
      const onDevice = (JSON.parse(kept.stdout) as { lines: { sequence: number; text: string }[] }).lines;
      const last = all.at(-1)?.sequence ?? 0;
      expect(all).toEqual(onDevice.filter(({ sequence }) => sequence <= last).map((line) => expect.objectContaining(line)));
      expect(count('"stopping"')).toBe(1);
    } finally {
      await stop();
    }
  });

  it('opens a shell where the device allows it', async () => {
    await start('open', { shell: { enabled: true } });
    const shell = await product.cli(['device', 'shell', 'open'], { input: 'tty\nexit 3\n' });
    expect(shell.stdout).toMatch(/\/dev\/pts\/\d+/);
    expect(shell.code).toBe(3);
    const { items } = await product.cliJson<{ items: { spec: { task: object } }[] }>(['operation', 'list', '--device', 'open']);
    expect(items.map(({ spec }) => spec.task)).toContainEqual(expect.objectContaining({ type: 'shell' }));
  });

  it('reboots a device that allows it, once', async () => {
    const file = join(folder, 'rebooted');
    await start('sleepy', { reboot: true, rebootCommand: ['sh', '-c', `echo x >> ${file}`] });
    expect((await product.cli(['device', 'reboot', 'sleepy'])).code).toBe(0);
    await waitUntil(() => readFile(file, 'utf8').catch(() => undefined), { timeoutMs: 30_000, what: 'the reboot' });
    expect(await readFile(file, 'utf8')).toBe('x\n');
  });

  it('starts a workload again without a request that fails, and has its log', async () => {
    await deploy(product);
    await product.startAgent('worker', { labels: { site: 'test' } });
    const serving = await product.waitForDevice('worker', ({ status }) => status.workloads[0]?.state === 'serving', 'serving', 60_000);
    const port = serving.status.workloads[0]?.port;
    const since = serving.status.workloads[0]?.servingSince;
    const pictures = join(inject('pictures'), 'test/7');
    const [picture = ''] = await readdir(pictures);
    const body = await readFile(join(pictures, picture));
    const codes: number[] = [];
    let asking = true;
    const asked = (async () => {
      while (asking) {
        const request = fetch(`http://127.0.0.1:${port}/v1/infer`, { method: 'POST', body, headers: { 'content-type': 'image/png' } });
        codes.push(
          await request.then(
            (response) => response.status,
            () => 0,
          ),
        );
      }
    })();
    const restarted = await product.cli(['device', 'restart-workload', 'worker', 'digits']);
    asking = false;
    await asked;
    expect(restarted).toMatchObject({ code: 0 });
    expect(codes.length).toBeGreaterThan(1);
    expect(codes.filter((code) => code !== 200)).toEqual([]);
    await product.waitForDevice('worker', ({ status }) => status.workloads[0]?.servingSince !== since, 'started again');
    const logs = await product.cli(['device', 'logs', 'worker', '--workload', 'digits']);
    expect(logs.stdout.match(/: process \d+ started/g)).toHaveLength(2);
    expect(logs.code).toBe(0);
    expect((await product.cli(['device', 'restart-workload', 'worker', 'nothing'])).code).toBe(3);
  });
});
