import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { makePackage } from './testing/make-package.ts';
import { type Load, TrialRig } from './testing/trial-rig.ts';

let rig: TrialRig;
let load: Load | undefined;
afterEach(async (context) => {
  await load?.stop();
  load = undefined;
  await rig.agent.stop(context.task.result?.state === 'fail');
}, 60_000);

describe('a trial beside the old version', () => {
  it('compares both in shadow mode while the old one answers, and fails a version that disagrees', async () => {
    rig = await TrialRig.start(makePackage({ version: '2', gain: -1 }));
    await rig.serveOne();
    load = await rig.load();
    await rig.desireTwo({ mode: 'shadow', gates: { agreement: 0.9 } });
    const { trial } = await rig.reverted();
    expect(trial.failure).toMatchObject({ code: 'GATE_NOT_PASSED', message: expect.stringContaining('agreement is 0, the bar is 0.9') });
    expect(trial.arms.map(({ version }) => version)).toEqual(['1', '2']);
    expect(trial.arms[1]).toMatchObject({ errors: 0, p50Ms: expect.any(Number), meanConfidence: expect.any(Number) });
    await load.stop();
    expect(load.failed).toBe(0);
    expect(new Set(load.versions)).toEqual(new Set(['1']));
  }, 90_000);

  it('goes over to the new version after a shadow trial that passes, and no request fails', async () => {
    rig = await TrialRig.start();
    await rig.serveOne();
    load = await rig.load();
    await rig.desireTwo({ mode: 'shadow', durationS: 4, minRequests: 5, gates: { agreement: 1, errorRate: 0 } });
    const { trial } = await rig.trialIs('passed');
    expect(trial!.checks.find(({ gate }) => gate === 'agreement')).toMatchObject({ value: 1, passed: true });
    await rig.server.reported('serves 2', ({ servingVersion, state }) => servingVersion === '2' && state === 'serving');
    await waitUntil(() => load!.versions.at(-1) === '2', { timeoutMs: 20_000, what: 'answers of version 2' });
    await load.stop();
    expect(load.failed).toBe(0);
  }, 90_000);

  it('gives the new version a share of the requests in split mode, with results by arm', async () => {
    rig = await TrialRig.start();
    await rig.serveOne();
    load = await rig.load();
    await rig.desireTwo({ mode: 'split', share: 0.5, durationS: 5, gates: { errorRate: 0 } });
    const { trial } = await rig.trialIs('passed');
    const [before, after] = trial!.arms;
    expect([before!.version, after!.version]).toEqual(['1', '2']);
    expect(before!.requests).toBeGreaterThan(0);
    expect(after!.requests).toBeGreaterThan(0);
    expect(new Set(load.versions)).toEqual(new Set(['1', '2']));
    await load.stop();
    expect(load.failed).toBe(0);
  }, 90_000);
});

describe('a change that is held', () => {
  it('waits for its window, for the lock and for a link that is not metered, and says so', async () => {
    rig = await TrialRig.start();
    await writeFile(join(rig.agent.dir, 'agent.json'), JSON.stringify({ metered: true }));
    await rig.serveOne();
    const minute = new Date(Date.now() - 2 * 60_000).toISOString().slice(11, 16);
    const past = [{ from: new Date(Date.now() - 3 * 60_000).toISOString().slice(11, 16), to: minute }];
    await rig.desireTwo({}, { windows: past });
    const held = await rig.server.reported('is held', (workload) => workload.held?.reason === 'window');
    expect(held).toMatchObject({ servingVersion: '1', desiredVersion: '2' });
    expect(Date.parse(held.held!.untilAt!)).toBeGreaterThan(Date.now());
    expect(await rig.agent.command('lock', '--dir', rig.agent.dir, '--reason', 'harvest')).toMatchObject({ code: 0 });
    await rig.desireTwo();
    const locked = await rig.server.reported('is locked', (workload) => workload.held?.reason === 'lock');
    expect(locked.held?.message).toContain('harvest');
    expect(await rig.agent.command('status', '--dir', rig.agent.dir)).toMatchObject({
      text: expect.stringContaining('held: Updates are locked'),
    });
    expect(await rig.agent.command('unlock', '--dir', rig.agent.dir)).toMatchObject({ code: 0 });
    await rig.server.reported('serves 2', (workload) => workload.servingVersion === '2' && workload.held === undefined);
    const three = makePackage({ version: '3' });
    rig.server.addPackage(three);
    await rig.server.desire('device-1', [rig.server.workload(three, { deferOnMetered: true })]);
    const metered = await rig.server.reported('waits for another link', (workload) => workload.held?.reason === 'metered');
    expect(metered).toMatchObject({ servingVersion: '2', desiredVersion: '3' });
    await rm(join(rig.agent.dir, 'agent.json'));
  }, 90_000);
});
