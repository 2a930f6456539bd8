import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle, ImportedResults, OfflineJoinAnswer, ReportedState, SpoolStanding } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Product, ROOT, type Running } from './harness/product.ts';
import { digitsDeployment, startTrained } from './harness/trained.ts';

const AGENT = join(ROOT, 'packages/agent/bin/selvedge-agent');

/** One device that never meets its server; the tests build on each other, as visits with a stick do. */
describe('bundles on a stick', () => {
  let product: Product;
  let agent: Running;
  const stick = (file: string) => join(product.dir, file);

  beforeAll(async () => {
    product = await startTrained({ broker: 'embedded' }); // a bundle tells of a broker, and that one could be reached
    const dir = product.agentDir('edge-1');
    const request = await product.cli(['agent', 'join', '--offline', '--out', stick('edge-1.request'), '--name', 'edge-1', '--dir', dir]);
    expect(request.code, request.stderr).toBe(0);
    const signed = await product.cli([
      'device',
      'sign-request',
      stick('edge-1.request'),
      '-o',
      stick('edge-1.answer'),
      '--label',
      'site=test',
    ]);
    expect(signed.code, signed.stderr).toBe(0);
    const answer = JSON.parse(await readFile(stick('edge-1.answer'), 'utf8')) as OfflineJoinAnswer;
    // nothing listens there: this device has never met its server and never will
    await writeFile(stick('edge-1.answer'), JSON.stringify({ ...answer, serverUrl: 'https://127.0.0.1:1' }));
    const joined = await onDevice('join', '--answer', stick('edge-1.answer'), '--ca-sha256', answer.authoritySha256);
    expect(joined.code, joined.text).toBe(0);
    agent = await product.startAgent('edge-1', { wait: false, args: ['--telemetry-interval-s', '1'] });
    await product.cliJson(['pipeline', 'run', 'digits', '--watch', '--set', 'epochs=1']);
  }, 180_000);
  afterAll(() => product?.stop());

  async function onDevice(...args: string[]): Promise<{ code: number; text: string }> {
    const child = spawn(AGENT, [...args, '--dir', product.agentDir('edge-1')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    const [code] = await once(child, 'close');
    return { code: Number(code), text };
  }
  const spool = async () => (JSON.parse((await onDevice('status', '--json')).text) as { spool: SpoolStanding }).spool;
  const reported = async () => JSON.parse(await readFile(join(product.agentDir('edge-1'), 'reported.json'), 'utf8')) as ReportedState;
  async function served(): Promise<string> {
    const [workload] = (await reported()).workloads;
    const pictures = join(inject('pictures'), 'test', '7');
    const [first = ''] = await readdir(pictures);
    const response = await fetch(`http://127.0.0.1:${workload?.port}/v1/infer`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: new Uint8Array(await readFile(join(pictures, first))),
    });
    return ((await response.json()) as { version: string }).version;
  }
  async function exported(file: string, device = 'edge-1', of = product): Promise<Bundle> {
    const api = await of.api();
    const bundle = await api.createBundle({ body: { devices: [device] } });
    const { body } = await api.stream('downloadBundle', { params: { name: bundle.metadata.name } });
    await writeFile(stick(file), body as AsyncIterable<Uint8Array>);
    return bundle;
  }
  async function brought(file: string): Promise<ImportedResults> {
    return (await product.api()).importResults({ upload: await readFile(stick(file)) });
  }
  async function deployed(version: string): Promise<void> {
    await (await product.api()).apply({ body: { documents: [JSON.parse(digitsDeployment(version))] } });
  }

  it('brings a device what it is to serve, and back what it serves', async () => {
    await deployed('1');
    const made = await product.cli(['bundle', 'export', '--for', 'site=test', '-o', stick('one.tar'), '--output', 'json']);
    expect(made.code, made.stderr).toBe(0);
    const { bundle } = JSON.parse(made.stdout) as { bundle: Bundle };
    expect(bundle.spec.sizeBytes).toBe((await readFile(stick('one.tar'))).length);
    const shown = await product.cli(['bundle', 'show', stick('one.tar')]);
    expect(shown.stdout).toContain('digits: digits 1');

    const applied = await onDevice('apply-bundle', stick('one.tar'), '--wait', '40', '--results-to', product.dir);
    expect(applied.code, applied.text).toBe(0);
    expect(applied.text).toContain('digits: digits 1, serving');
    expect(await served()).toBe('1');

    const { items } = await product.cliJson<{ items: ImportedResults[] }>(['bundle', 'import-results', stick('edge-1.results')]);
    expect(items).toMatchObject([{ device: 'edge-1', bundle: bundle.metadata.name, state: 'taken', serving: [{ version: '1' }] }]);
    expect(items[0]?.samples).toBeGreaterThan(0);
    const device = await product.device('edge-1');
    expect(device.status.telemetry?.memoryUsedBytes).toBeGreaterThan(0);
    expect(device.status).toMatchObject({ online: false, byBundle: { bundle: bundle.metadata.name, sequence: 1 } });
    expect(device.status.workloads).toMatchObject([{ name: 'digits', servingVersion: '1', state: 'serving' }]);
    expect(await brought('edge-1.results')).toMatchObject({ state: 'known' });
    const list = await product.cliJson<{ items: Bundle[] }>(['bundle', 'list']);
    expect(list.items[0]?.status.devices).toMatchObject([{ device: 'edge-1', state: 'returned' }]);
    // what the device serves no longer needs what it was brought with
    await waitUntil(async () => !(await readdir(join(product.agentDir('edge-1'), 'bundles'))).includes(bundle.metadata.name), {
      timeoutMs: 30_000,
      what: 'the content to be collected',
    });
  });

  it('is taken up at the next start when the agent is stopped, and the same twice is the same', async () => {
    await deployed('2');
    await agent.kill('SIGKILL');
    expect((await onDevice('export-results', '--out', stick('stopped.results'))).code).toBe(0);
    expect((await brought('stopped.results')).samples).toBeGreaterThan(0);
    const kept = await spool();
    expect(kept.waiting).toBeGreaterThan(0);
    await exported('two.tar');
    for (const said of ['The agent takes it up when it starts', 'It was applied before.']) {
      const applied = await onDevice('apply-bundle', stick('two.tar'));
      expect(applied.code, applied.text).toBe(0);
      expect(applied.text).toContain(said);
    }
    agent = await product.startAgent('edge-1', { wait: false });
    await waitUntil(async () => (await reported()).workloads[0]?.servingVersion === '2', { timeoutMs: 30_000, what: 'version 2 to serve' });
    expect(await served()).toBe('2');
    // The server has said in the bundle what it has: that need not wait any longer.
    await waitUntil(async () => ((await spool()).oldestAt ?? '9') > (kept.oldestAt ?? ''), {
      timeoutMs: 20_000,
      what: 'the spool to forget',
    });
    expect((await spool()).waiting).toBeLessThan(kept.waiting);
  });

  it('refuses what is older, damaged, expired, revoked, or of others, each with its reason, and changes nothing', async () => {
    const before = await readFile(join(product.agentDir('edge-1'), 'state.json'), 'utf8');
    const refused = async (file: string, code: number, reason: RegExp) => {
      const { code: actual, text } = await onDevice('apply-bundle', stick(file));
      expect(text).toMatch(reason);
      expect(actual, text).toBe(code);
    };
    await refused('one.tar', 4, /older than what this device was told already/);

    await deployed('1');
    await exported('three.tar');
    const whole = await readFile(stick('three.tar'));
    await writeFile(stick('cut.tar'), whole.subarray(0, whole.length - 2000));
    await refused('cut.tar', 2, /cut off at byte \d+/);
    const changed = Buffer.from(whole);
    const at = whole.length - 3000;
    changed[at] = (changed[at] ?? 0) ^ 1;
    await writeFile(stick('changed.tar'), changed);
    await refused('changed.tar', 6, /damaged in file \d+ of \d+/);

    await product.startAgent('edge-2');
    await exported('other.tar', 'edge-2');
    await refused('other.tar', 5, /is for edge-2, and this is "edge-1"/);

    const stranger = await Product.create();
    try {
      await stranger.startServer();
      await stranger.startAgent('edge-1');
      await exported('stranger.tar', 'edge-1', stranger);
    } finally {
      await stranger.stop();
    }
    await refused('stranger.tar', 5, /not signed by the server/);
    expect(await readFile(join(product.agentDir('edge-1'), 'state.json'), 'utf8')).toBe(before);
    expect((await readdir(join(product.agentDir('edge-1'), 'bundles'))).filter((name) => name !== 'memory.json')).toEqual([]);
  });

  it('a revoked bundle cannot be had again, a later one tells the device, and results after it are refused', async () => {
    const bundle = await exported('four.tar');
    const { name } = bundle.metadata;
    expect((await onDevice('apply-bundle', stick('four.tar'), '--wait', '40', '--results-to', product.dir)).code).toBe(0);
    await product.cliJson(['bundle', 'revoke', name]);
    const again = await product.cli(['bundle', 'export', '--again', name, '--out', stick('again.tar')]);
    expect(again.code).toBe(5);
    expect(again.stderr).toContain('was revoked by');
    await expect(brought('edge-1.results')).rejects.toMatchObject({ code: 'BUNDLE_REVOKED' });
    await exported('five.tar');
    expect((await onDevice('apply-bundle', stick('five.tar'))).code).toBe(0);
    const late = await onDevice('apply-bundle', stick('four.tar'));
    expect(late.code).toBe(5);
    expect(late.text).toContain('has been revoked, as a later one said');
  });

  it('bundles of a removed device are void, and its results are refused', async () => {
    const bundle = await exported('six.tar');
    expect((await onDevice('export-results', '--out', stick('last.results'))).code).toBe(0);
    await product.cliJson(['device', 'remove', 'edge-1']);
    const again = await product.cli(['bundle', 'export', '--again', bundle.metadata.name, '--out', stick('again.tar')]);
    expect(again.stderr).toContain('device "edge-1" has been removed');
    await expect(brought('last.results')).rejects.toMatchObject({ code: 'DEVICE_REVOKED' });
    // another device's stick carries the word
    await exported('seven.tar', 'edge-2');
    const told = await onDevice('apply-bundle', stick('seven.tar'));
    expect(told.code).toBe(5);
    expect(told.text).toContain('The server has removed this device');
    expect((await onDevice('apply-bundle', stick('six.tar'))).text).toContain('The server has removed this device');
    expect(await served()).toBe('1');
  });
});
