import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askLocal } from './adapters/process/local-http.ts';
import { AgentRig, exited, inferAt, picture } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';
import { serialOf, TestServer } from './testing/test-server.ts';

const DEVICE = 'device-1';
let rig: AgentRig;
beforeEach(async () => {
  rig = await AgentRig.start();
});
afterEach((context) => rig.stop(context.task.result?.state === 'fail'));

describe('agent join', () => {
  it('makes a key that only its owner reads, and says so when it has joined already', async () => {
    const first = await rig.join();
    expect(first).toMatchObject({ code: 0, text: expect.stringContaining('device "device-1"') });
    expect((await stat(join(rig.dir, 'identity.json'))).mode & 0o777).toBe(0o600);
    const serial = serialOf((await rig.identity()).certPem);
    expect(await rig.join()).toMatchObject({ code: 0, text: expect.stringContaining('has joined') });
    expect(serialOf((await rig.identity()).certPem)).toBe(serial);
  });

  it('does not tell its secret to a server with another CA', async () => {
    const other = await TestServer.start();
    const result = await rig.command('join', other.url, '--token', rig.server.token, '--dir', rig.dir);
    expect(result).toMatchObject({ code: 5, text: expect.stringContaining('not the one that issued this token') });
    expect(await readdir(rig.dir)).toEqual([]);
    await other.stop();
  });

  it('explains a wrong token, a wrong address and a wrong flag', async () => {
    expect(await rig.command('join', rig.server.url, '--token', 'x', '--dir', rig.dir)).toMatchObject({ code: 5 });
    expect(await rig.command('join', `https://127.0.0.1:${await freePort()}`, '--token', rig.server.token, '--dir', rig.dir)).toMatchObject(
      {
        code: 7,
      },
    );
    expect(await rig.command('join', rig.server.url, '--tokn', 'x')).toMatchObject({ code: 2 });
    expect(await rig.command('run', '--dir', rig.dir)).toMatchObject({ code: 4, text: expect.stringContaining('has not joined') });
  });
});

describe('agent run', () => {
  it('serves what is desired, answers commands, reports, and swaps versions under load without a failed request', async () => {
    await rig.join();
    const one = makePackage({ version: '1' });
    const two = makePackage({ version: '2', gain: 2 });
    rig.server.addPackage(one);
    rig.server.addPackage(two);
    await rig.server.desire(DEVICE, [rig.server.workload(one)]);
    const agent = rig.run();
    const { port } = await rig.server.reported('serves 1', (workload) => workload.servingVersion === '1' && workload.state === 'serving');
    const reply = await rig.server.command(DEVICE, {
      id: 'c1',
      type: 'infer',
      workload: 'colours',
      contentType: 'image/png',
      bodyBase64: (await picture()).toString('base64'),
      expiresAt: new Date(Date.now() + 10_000).toISOString(),
    });
    expect(reply.outcome).toMatchObject({ ok: true, infer: { version: '1', result: { top: { label: 'green' } } } });
    expect(rig.server.messages.some((message) => message.topic.endsWith('/telemetry'))).toBe(true);

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
    await rig.server.desire(DEVICE, [rig.server.workload(two)]);
    const swapped = await rig.server.reported('serves 2', (workload) => workload.servingVersion === '2');
    expect(swapped).toMatchObject({ previousVersion: '1', port, error: null, restarts: 0 });
    await waitUntil(() => seen.at(-1) === '2', { timeoutMs: 30_000, what: 'answers of version 2' });
    stop = true;
    await Promise.all([...load, knocking]);
    expect(connections).toBeGreaterThan(10);
    expect(new Set(seen)).toEqual(new Set(['1', '2']));
    expect(seen.indexOf('2')).toBeGreaterThan(0);
    await waitUntil(async () => (await rig.modelServers()).length === 1, { timeoutMs: 15_000, what: 'the old version to end' });

    await rig.server.desire(DEVICE, []);
    await waitUntil(() => rig.server.reports.at(-1)?.workloads.length === 0, { timeoutMs: 15_000, what: 'the workload to go' });
    expect(await rig.modelServers()).toEqual([]);
    await waitUntil(async () => (await readdir(join(rig.dir, 'versions'))).length === 0, { timeoutMs: 30_000, what: 'the files to go' });

    const startedAt = performance.now();
    agent.kill('SIGTERM');
    await exited(agent);
    expect(agent.exitCode).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    const presence = rig.server.messages.filter((message) => message.topic.endsWith('/presence'));
    expect(presence.map((message) => JSON.parse(message.payload).online)).toEqual([true, false]);
  }, 90_000);

  it('renews key and certificate when half of its life is over, and shows the server the new one at once', async () => {
    rig.server.certificateLifeMs = 20_000; // valid since a minute ago: more than half is over
    await rig.join();
    const before = await rig.identity();
    rig.server.certificateLifeMs = 3_600_000;
    rig.run();
    await waitUntil(async () => (await rig.identity()).certPem !== before.certPem, {
      timeoutMs: 20_000,
      what: 'a new certificate',
    });
    expect((await rig.identity()).keyPem).not.toBe(before.keyPem);
    expect(rig.server.renewals).toBe(1);
    await waitUntil(() => rig.server.blobRequests.length > 0, { timeoutMs: 30_000, what: 'the new certificate to be used' });
  }, 60_000);

  it('refuses a second agent in its folder, and takes over the lock of one that was killed', async () => {
    await rig.join();
    const agent = rig.run();
    await waitUntil(() => rig.server.reports.length > 0, { timeoutMs: 30_000, what: 'a report' });
    expect(await rig.command('run', '--dir', rig.dir)).toMatchObject({ code: 4, text: expect.stringContaining(`process ${agent.pid}`) });
    expect(await rig.command('status', '--dir', rig.dir)).toMatchObject({
      code: 0,
      text: expect.stringContaining(`running, process ${agent.pid}`),
    });
    agent.kill('SIGKILL');
    await exited(agent);
    rig.server.reports.length = 0;
    rig.run();
    await waitUntil(() => rig.server.reports.length > 0, { timeoutMs: 30_000, what: 'a report of the second agent' });
  }, 60_000);
});
