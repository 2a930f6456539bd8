import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device, Rollout } from '@selvedge/contract';
import { sleep, waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lan, type Link } from './harness/lan.ts';
import { Product, type Running } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

/** How long a cut lasts: long enough that packets are lost and sent again, short enough that nobody takes the device for gone. */
const CUT_MS = 3000;
const serves = (version: string) => (device: Device) =>
  device.status.workloads.some((workload) => workload.servingVersion === version && workload.state === 'serving');

/** Real agents, each in a network namespace with a link of its own (as root; else behind a relay), and a real server. */
describe('a network that fails', () => {
  let lan: Lan;
  let product: Product;
  const agents: Running[] = [];
  const nameOf = (at: number) => `edge-${at}`;

  async function startAgent(at: number, dir = product.agentDir(nameOf(at)), link: Link = lan.links[at]!, wait = true): Promise<Running> {
    const url = await link.reach(product.deviceUrl);
    return product.startAgent(nameOf(at), { url, dir, wait, prefix: link.prefix, args: ['--log-level', 'debug'] });
  }

  beforeAll(async () => {
    lan = Lan.create(3);
    product = await startTrained({ serverArgs: lan.serverArgs });
    await deploy(product);
    for (const at of [0, 1, 2]) {
      mkdirSync(product.agentDir(nameOf(at)), { recursive: true });
      await writeFile(
        join(product.agentDir(nameOf(at)), 'agent.json'),
        JSON.stringify({ commands: { allow: [{ argv: ['sh', '-c', '*'] }] } }),
      );
      agents.push(await startAgent(at));
    }
    for (const at of [0, 1, 2]) await product.waitForDevice(nameOf(at), serves('1'), 'serving version 1', 60_000);
    await product.cliJson(['pipeline', 'run', 'digits', '--watch', '--set', 'epochs=1']);
  });
  afterAll(async () => {
    await product?.stop();
    await lan?.stop();
  });

  /** Cuts the link as soon as the agent logs this, for a while; resolves when it is whole again. */
  async function cutAt(at: number, pattern: RegExp): Promise<void> {
    const { child } = agents[at]!;
    const link = lan.links[at]!;
    await new Promise<void>((resolve) => {
      let text = '';
      const look = (chunk: Buffer) => {
        text += chunk.toString();
        if (!pattern.test(text)) return;
        link.cut();
        child.stderr?.off('data', look);
        resolve();
      };
      child.stderr?.on('data', look);
    });
    await sleep(CUT_MS);
    link.mend();
  }

  /** The same, in the middle of the download of a version. */
  async function cutInDownload(at: number, version: string): Promise<void> {
    const versions = join(product.agentDir(nameOf(at)), 'versions/digits');
    const fetchedBytes = () => {
      const partial = readdirSync(versions).find((name) => name.startsWith(`${version}-`) && name.endsWith('.partial'));
      if (partial === undefined) return 0;
      const files = readdirSync(join(versions, partial), { recursive: true, encoding: 'utf8' });
      return Math.max(0, ...files.map((file) => statSync(join(versions, partial, file), { throwIfNoEntry: false })?.size ?? 0));
    };
    await waitUntil(() => fetchedBytes() > 10_000, { timeoutMs: 60_000, intervalMs: 5, what: 'a part of the file' });
    lan.links[at]!.cut();
    await sleep(CUT_MS);
    expect(readdirSync(versions).some((name) => name.startsWith(`${version}-`) && !name.endsWith('.partial'))).toBe(false);
    lan.links[at]!.mend();
  }

  const deployed = (version: string, ...more: string[]) =>
    product.cli(['deploy', `digits:${version}`, '--max-unavailable', '100%', '--gate', 'crashes<=0', '-o', 'json', ...more]);
  const newest = () => product.cliJson<Rollout>(['rollout', 'show', 'digits']);
  const count = (text: string, pattern: RegExp) => text.match(new RegExp(pattern, 'g'))?.length ?? 0;

  /** The version that the devices do not serve: each test goes to it, whatever the ones before have left. */
  async function otherVersion(): Promise<string> {
    return serves('1')(await product.device(nameOf(0))) ? '2' : '1';
  }

  /** Each device has tried and taken up the version exactly once since `from`. */
  function expectOnce(version: string, from: readonly number[]): void {
    agents.forEach((agent, at) => {
      const log = agent.log.slice(from[at]);
      expect(count(log, new RegExp(`"a trial begins".*"version":"${version}"`)), nameOf(at)).toBe(1);
      expect(count(log, new RegExp(`"step":"switch","key":"${version}-`)), nameOf(at)).toBe(1);
    });
  }

  it('a link that is cut while the manifest, a file, or nothing is fetched: each device ends with the new version, taken up once', async () => {
    const from = agents.map(({ log }) => log.length);
    // So slow that a file takes seconds.
    for (const link of lan.links) link.slow(512_000);
    const cuts = [cutAt(0, /"a trial begins".*"version":"2"/), cutInDownload(1, '2'), cutAt(2, /"step":"fetch","key":"2-/)];
    const result = await deployed('2', '--waves', '100%', '--trial', '2s', '--watch');
    await Promise.all(cuts);
    for (const link of lan.links) link.slow(undefined);
    expect(result.code, result.stderr).toBe(0);
    const { status } = await newest();
    expect(status).toMatchObject({ phase: 'succeeded', attempt: 1 });
    expect(status.devices.map(({ state }) => state)).toEqual(['passed', 'passed', 'passed']);
    expectOnce('2', from);
    for (const { log } of agents) expect(count(log, /"step":"fetch","key":"2-/)).toBe(1);
  });

  it('a link that is cut at the switch, at the verdict, or while a command runs: reported once whole again, nothing done twice', async () => {
    const version = await otherVersion();
    const from = agents.map(({ log }) => log.length);
    const ran = join(product.dir, 'ran');
    const script = `echo ran >> ${ran}; sleep 1; echo done`;
    const command = product.cli(['device', 'exec', nameOf(2), '--', 'sh', '-c', script]);
    await waitUntil(() => statSync(ran, { throwIfNoEntry: false }) !== undefined, {
      timeoutMs: 30_000,
      intervalMs: 5,
      what: 'the program',
    });
    lan.links[2]!.cut();
    const cuts = [cutAt(0, new RegExp(`"step":"switch","key":"${version}-`)), cutAt(1, /"a trial has passed"/)];
    const rollout = deployed(version, '--waves', '100%', '--trial', '2s', '--watch');
    await sleep(CUT_MS);
    lan.links[2]!.mend();
    const [{ code, stdout, stderr }, result] = await Promise.all([command, rollout, ...cuts]);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('done\n');
    expect(readFileSync(ran, 'utf8')).toBe('ran\n');
    expect(result.code, result.stderr).toBe(0);
    expect((await newest()).status.devices.map(({ state }) => state)).toEqual(['passed', 'passed', 'passed']);
    expectOnce(version, from);
  });

  it('a server that is killed in the middle of a rollout goes on with it, and gives no device the version twice', async () => {
    const version = await otherVersion();
    const from = agents.map(({ log }) => log.length);
    expect((await deployed(version, '--waves', '1,100%', '--trial', '3s')).code).toBe(0);
    /** The first of these agents that logs this. */
    const first = async (among: readonly number[], pattern: string) => {
      const seen = () => among.filter((at) => new RegExp(pattern).test(agents[at]!.log.slice(from[at])));
      await waitUntil(() => seen().length > 0, { timeoutMs: 60_000, what: `${pattern} in a log` });
      return seen()[0]!;
    };
    const one = await first([0, 1, 2], `"step":"switch","key":"${version}-`);
    await product.server.kill('SIGKILL');
    // The device decides about its trial without the server.
    await first([one], '"a trial has passed"');
    await product.startServer();
    const others = [0, 1, 2].filter((at) => at !== one);
    await first(others, `"a trial begins".*"version":"${version}"`);
    await product.server.kill('SIGKILL');
    await product.startServer();
    const watched = await product.cli(['rollout', 'watch', 'digits']);
    expect(watched.code, watched.stderr).toBe(0);
    const { status } = await newest();
    expect(status).toMatchObject({ phase: 'succeeded', attempt: 1 });
    expect(status.waves.map(({ devices, state }) => [devices, state])).toEqual([
      [1, 'passed'],
      [2, 'passed'],
    ]);
    expectOnce(version, from);
  });

  it('an identity that was copied to another machine shows as a conflict, with both addresses', async () => {
    const copy = join(product.dir, 'copied');
    await cp(product.agentDir(nameOf(0)), copy, { recursive: true });
    // On the other machine the process that holds the lock does not exist.
    await rm(join(copy, 'agent.lock'));
    const twin = await startAgent(0, copy, lan.links[1], false);
    const device = await product.waitForDevice(nameOf(0), ({ status }) => status.conflict !== null, 'in conflict', 60_000);
    const addresses = new Set(device.status.conflict!.instances.map(({ address }) => address.replace(/:\d+$/, '')));
    expect(addresses.size).toBe(lan.isReal ? 2 : 1);
    const shown = (await product.cli(['device', 'show', nameOf(0)])).stdout;
    for (const address of addresses) expect(shown).toContain(address);
    await twin.kill('SIGKILL');
  });

  it("a token or an identity of one server is of no use at another, which is told by the authority's fingerprint", async () => {
    const other = await Product.create({ serverArgs: lan.serverArgs });
    try {
      await other.startServer();
      const { token } = await product.cliJson<{ token: string }>(['device', 'token']);
      const join = (url: string) =>
        product.cli(['agent', 'join', url, '--token', token, '--name', 'edge-9', '--dir', product.agentDir('edge-9'), '--no-run']);
      const refused = await join(other.deviceUrl);
      expect(refused.code).toBe(5);
      const [own, its] = await Promise.all(
        [product, other].map(async (one) => (await one.cliJson<{ current: { sha256: string } }>(['ca', 'show'])).current.sha256),
      );
      expect(refused.stderr).toContain('is not the one that issued this token');
      expect(refused.stderr).toContain(own!.slice(0, 16));
      expect(refused.stderr).toContain(its!.slice(0, 16));
      // Nothing was sent: the token still works where it is from.
      expect((await join(product.deviceUrl)).code).toBe(0);
    } finally {
      await other.stop();
    }
    // Another server at the address of the one that the devices have joined.
    const from = agents[2]!.log.length;
    const impostor = await Product.create({ serverArgs: [...lan.serverArgs, '--device-port', new URL(product.deviceUrl).port] });
    await product.server.kill('SIGTERM');
    await product.mosquitto?.stop(); // as long as it is there, no device asks at the server's address
    try {
      await impostor.startServer();
      await waitUntil(() => agents[2]!.log.slice(from).includes('authority that is not trusted'), {
        timeoutMs: 60_000,
        what: 'the refusal',
      });
      expect((await impostor.cliJson<{ items?: unknown[] }>(['get', 'devices'])).items ?? []).toEqual([]);
    } finally {
      await impostor.stop();
    }
    await product.startServer();
    await product.mosquitto?.start();
    await product.waitForDevice(
      nameOf(2),
      (device) => device.status.online && (serves('1')(device) || serves('2')(device)),
      'back',
      60_000,
    );
  });
});
