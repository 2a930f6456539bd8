import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Trial, WorkloadReport } from '@selvedge/contract';
import { sha256Hex, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentRig, exited, inferAt } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';

const DEVICE = 'device-1';
let rig: AgentRig;
beforeEach(async () => {
  rig = await AgentRig.start();
});
afterEach((context) => rig.stop(context.task.result?.state === 'fail'));

/** A port that another program holds. */
async function takePort(): Promise<{ squatter: Server; port: number }> {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
  const address = squatter.address();
  return { squatter, port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
}

describe('agent run, when something fails', () => {
  it('goes on when another version is desired before the server has answered a download', async () => {
    await rig.join();
    const [silent, next] = [makePackage({ version: '1' }), makePackage({ version: '2' })];
    for (const pack of [silent, next]) rig.server.addPackage(pack);
    const held = rig.server.workload(silent).manifest.sha256;
    rig.server.blobFault = (_response, content) => sha256Hex(content) === held;
    await rig.server.desire(DEVICE, [rig.server.workload(silent)]);
    rig.run();
    await waitUntil(() => rig.server.blobRequests.some(({ sha256 }) => sha256 === held), { timeoutMs: 20_000, what: 'the request' });
    await rig.server.desire(DEVICE, [rig.server.workload(next)]);
    await rig.server.reported('serves 2', (workload) => workload.servingVersion === '2');
  });

  it('serves again after kill -9 with the server gone, and its children go with it', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    const agent = rig.run();
    const { port } = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    await rig.server.close();
    agent.kill('SIGKILL');
    await exited(agent);
    await waitUntil(async () => (await rig.modelServers()).length === 0, { timeoutMs: 30_000, what: 'the model server to end' });
    rig.run();
    const again = await waitUntil(() => inferAt(port!).catch(() => undefined), { timeoutMs: 30_000, what: 'the model to be served again' });
    expect(again.version).toBe('1');
  }, 60_000);

  it('serves again without a server when its saved state is damaged, and is told the rest later', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    const agent = rig.run();
    const { port } = await rig.server.reported('serves', (workload) => workload.state === 'serving', 'colours', 60_000);
    await rig.server.close();
    agent.kill('SIGKILL');
    await exited(agent);
    const state = join(rig.dir, 'state.json');
    await writeFile(state, (await readFile(state)).fill(0, 100, 300));
    await writeFile(join(rig.dir, 'programs.json'), '{');
    const again = rig.run();
    const served = await waitUntil(() => inferAt(port!).catch(() => undefined), {
      timeoutMs: 60_000,
      what: 'the model to be served again',
    });
    expect(served.version).toBe('1');
    expect(await readdir(rig.dir)).toContain('state.json.damaged');
    again.kill('SIGKILL');
    await exited(again);
    // Nothing is left of what it knew: the files are there, and the server says what to do with them.
    for (const name of ['state.json', 'state.json.before']) await writeFile(join(rig.dir, name), '');
    rig.server.reports.length = 0;
    rig.server.blobRequests.length = 0;
    await rig.server.listen();
    rig.run();
    await rig.server.reported('serves again', (workload) => workload.state === 'serving', 'colours', 60_000);
    expect(rig.server.blobRequests.filter(({ sha256 }) => pack.blobs.has(sha256))).toEqual([]);
  }, 200_000);

  it('starts a killed model server again and counts it', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run();
    const { port } = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    for (const pid of await rig.modelServers()) process.kill(pid, 'SIGKILL');
    await rig.server.reported('was restarted', (workload) => workload.restarts === 1 && workload.state === 'serving');
    expect((await inferAt(port!)).version).toBe('1');
  }, 60_000);

  it('never serves a corrupted file: reports it and fetches it again', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    const agent = rig.run();
    await rig.server.reported('serves', (workload) => workload.state === 'serving');
    agent.kill('SIGTERM');
    await exited(agent);
    const [key] = await readdir(join(rig.dir, 'versions', 'colours'));
    const path = join(rig.dir, 'versions', 'colours', key!, 'model.onnx');
    const bytes = await readFile(path);
    bytes[bytes.length - 3]! ^= 1;
    await chmod(path, 0o644);
    await writeFile(path, bytes);
    rig.server.reports.length = 0;
    const good = pack.manifest.files[0]!.sha256;
    const content = rig.server.blobs.get(good)!;
    rig.server.blobs.delete(good);
    rig.run();
    await rig.server.reported(
      'names the damage',
      (workload) => workload.error?.code === 'DIGEST_MISMATCH' && workload.servingVersion === null,
    );
    rig.server.blobs.set(good, content);
    await rig.server.reported('serves again', (workload) => workload.state === 'serving' && workload.error === null);
  }, 60_000);

  it('resumes a download that was cut, where it broke', async () => {
    await rig.join();
    const pack = makePackage({ bulkBytes: 3_000_000 });
    rig.server.addPackage(pack);
    let cuts = 0;
    rig.server.blobFault = (response, content, offset) => {
      if (content.length !== 3_000_000 || cuts >= 2) return false;
      cuts += 1;
      response.writeHead(offset > 0 ? 206 : 200, { 'content-length': content.length - offset });
      response.write(content.subarray(offset, offset + 1_000_000), () => response.destroy());
      return true;
    };
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run();
    await rig.server.reported('serves', (workload) => workload.state === 'serving');
    const bulk = rig.server.blobRequests.filter(({ sha256 }) => rig.server.blobs.get(sha256)?.length === 3_000_000);
    expect(bulk.length).toBe(3);
    expect(bulk.at(-1)!.offset).toBeGreaterThan(bulk[1]!.offset);
    expect(bulk[1]!.offset).toBeGreaterThan(0);
  }, 60_000);

  it('keeps the version that serves when the new one fails its self-test, and says why', async () => {
    await rig.join();
    const good = makePackage({ version: '1' });
    const bad = makePackage({ version: '2', badGolden: true });
    rig.server.addPackage(good);
    rig.server.addPackage(bad);
    await rig.server.desire(DEVICE, [rig.server.workload(good)]);
    rig.run();
    await rig.server.reported('serves 1', (workload) => workload.servingVersion === '1');
    await rig.server.desire(DEVICE, [rig.server.workload(bad)]);
    const failed = await rig.server.reported('failed', (workload) => workload.state === 'failed');
    expect(failed).toMatchObject({ servingVersion: '1', desiredVersion: '2', error: { code: 'WORKLOAD_FAILED' } });
    expect(failed.error?.message).toMatch(/self-test/);
    expect((await inferAt(failed.port!)).version).toBe('1');
  }, 60_000);

  it('reports a taken port, and serves there once it is free', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    const { squatter, port } = await takePort();
    await rig.server.desire(DEVICE, [rig.server.workload(pack, { servingPort: port })]);
    rig.run();
    await rig.server.reported('names the port', (workload) => workload.error?.code === 'PORT_IN_USE');
    squatter.close();
    await rig.server.reported('serves there', (workload) => workload.state === 'serving' && workload.port === port);
  }, 60_000);

  it('reconnects when the server comes back, and reports anew', async () => {
    await rig.join();
    rig.run();
    await waitUntil(() => rig.server.reports.length > 0, { timeoutMs: 30_000, what: 'a report' });
    await rig.server.close();
    rig.server.reports.length = 0;
    await rig.server.listen();
    await waitUntil(() => rig.server.reports.length > 0, { timeoutMs: 15_000, what: 'a report after the reconnection' });
  }, 60_000);

  it('reports a full disk, and fetches the rest when there is space again', async ({ skip }) => {
    if (!rig.setDiskSize(2)) skip('a small disk can be mounted by root only');
    await rig.join();
    const pack = makePackage({ bulkBytes: 4_000_000 });
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run();
    const full = await rig.server.reported('names the disk', (workload) => workload.error?.code === 'DISK_FULL');
    expect(full).toMatchObject({ servingVersion: null, error: { message: expect.stringContaining('No space left') } });
    expect(rig.setDiskSize(32)).toBe(true);
    await rig.server.reported('serves', (workload) => workload.state === 'serving' && workload.error === null);
  }, 60_000);

  it('keeps the version that serves when the disk is too full for an update, and takes the update up when there is space', async ({
    skip,
  }) => {
    if (!rig.setDiskSize(6)) skip('a small disk can be mounted by root only');
    await rig.join();
    const small = makePackage({ version: '1' });
    const large = makePackage({ version: '2', bulkBytes: 4_000_000 });
    for (const pack of [small, large]) rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(small)]);
    const agent = rig.run();
    const { port } = await rig.server.reported('serves 1', (workload) => workload.servingVersion === '1');
    const trial: Trial = { id: 'trial-1', mode: 'serve', durationS: 1, minRequests: 0, gates: { crashes: 0 } };
    await rig.server.desire(DEVICE, [rig.server.workload(large, { trial })]);
    const full = await rig.server.reported('names the disk', (workload) => workload.error?.code === 'DISK_FULL');
    // The version is not to blame: its trial has not failed.
    expect(full).toMatchObject({ servingVersion: '1', desiredVersion: '2', trial: { state: 'preparing', failure: null } });
    expect((await inferAt(port!)).version).toBe('1');
    await writeFile(join(rig.dir, 'filler'), Buffer.alloc(8_000_000)).catch(() => undefined);
    agent.kill('SIGKILL');
    await exited(agent);
    rig.run();
    const again = await waitUntil(() => inferAt(port!).catch(() => undefined), { timeoutMs: 20_000, what: 'version 1 on a full disk' });
    expect(again.version).toBe('1');
    expect(rig.setDiskSize(32)).toBe(true);
    await rig.server.reported('serves 2', (workload) => workload.trial?.state === 'passed' && workload.error === null, 'colours', 40_000);
  }, 90_000);

  it('kills a model server that hangs, and serves again', async () => {
    await rig.join();
    // Loaded by every Node process below; only the model server is ever sent the signal.
    const hang = join(rig.dir, 'hang.cjs');
    await writeFile(hang, "process.on('SIGUSR2', () => { for (;;); });\n");
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run({ NODE_OPTIONS: `--require ${hang}` });
    const { port } = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    const [hanging] = await rig.modelServers();
    process.kill(hanging!, 'SIGUSR2');
    const again = (workload: WorkloadReport) => workload.restarts === 1 && workload.state === 'serving';
    await rig.server.reported('was killed and serves', again, 'colours', 40_000);
    expect((await inferAt(port!)).version).toBe('1');
    expect(await rig.modelServers()).not.toContain(hanging);
  }, 60_000);

  it('keeps its port while the newly desired one is taken, says so, and moves there once it is free', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run();
    const { port: before } = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    const { squatter, port } = await takePort();
    await rig.server.desire(DEVICE, [rig.server.workload(pack, { servingPort: port })]);
    await rig.server.reported('names the port', ({ error, state }) => error?.code === 'PORT_IN_USE' && state === 'serving');
    expect((await inferAt(before!)).version).toBe('1');
    squatter.close();
    await rig.server.reported('serves there', (workload) => workload.port === port && workload.error === null);
    expect((await inferAt(port)).version).toBe('1');
  }, 60_000);

  it('sends after the reconnection what changed while it was offline', async () => {
    await rig.join();
    const pack = makePackage();
    rig.server.addPackage(pack);
    await rig.server.desire(DEVICE, [rig.server.workload(pack)]);
    rig.run();
    const { port } = await rig.server.reported('serves', (workload) => workload.restarts === 0 && workload.state === 'serving');
    await rig.server.close();
    rig.server.reports.length = 0;
    const killed = await rig.modelServers();
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await rig.modelServers()).some((pid) => !killed.includes(pid)), {
      timeoutMs: 15_000,
      what: 'a new process',
    });
    await waitUntil(() => inferAt(port!).catch(() => undefined), { timeoutMs: 15_000, what: 'the model to be served again' });
    await rig.server.listen();
    await rig.server.reported('tells of the restart', (workload) => workload.restarts === 1 && workload.state === 'serving');
  }, 60_000);
});
