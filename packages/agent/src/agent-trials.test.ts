import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { exited, inferAt } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';
import { type Load, TrialRig } from './testing/trial-rig.ts';
import { type VersionFault, withVersionFault } from './testing/version-faults.ts';

let rig: TrialRig;
let load: Load | undefined;
afterEach(async (context) => {
  await load?.stop();
  load = undefined;
  await rig.agent.stop(context.task.result?.state === 'fail');
}, 60_000);

/** Version 1 serves under load; version 2 has a fault. */
async function serveOneWithFault(fault?: VersionFault): Promise<void> {
  rig = await TrialRig.start();
  await rig.serveOne(fault === undefined ? {} : await withVersionFault(rig.agent.dir, fault));
  load = await rig.load();
}

describe('a version on trial', () => {
  it('passes, with the old version beside it until then, and no request fails', async () => {
    await serveOneWithFault();
    await rig.desireTwo({ durationS: 4, gates: { errorRate: 0, p95Ratio: 50, rssGrowthMiB: 500, confidencePsi: 0.5, agreement: 1 } });
    const running = await rig.trialIs('running');
    expect(running).toMatchObject({ servingVersion: '2', previousVersion: '1', state: 'serving' });
    expect(await rig.agent.modelServers()).toHaveLength(2);
    const { trial } = await rig.trialIs('passed');
    const checks = Object.fromEntries(trial!.checks.map((check) => [check.gate, check]));
    expect(checks.errorRate).toMatchObject({ value: 0, passed: true });
    expect(checks.p95Ratio).toMatchObject({ passed: true, baseline: expect.any(Number) });
    expect(checks.confidencePsi).toMatchObject({ passed: true });
    expect(checks.agreement, 'nothing is compared in this mode').toMatchObject({ value: null, passed: null });
    expect(trial).toMatchObject({ id: 'trial-1', version: '2', failure: null, arms: [] });
    await waitUntil(async () => (await rig.agent.modelServers()).length === 1, { timeoutMs: 15_000, what: 'the old version to end' });
    await load!.stop();
    expect(load!.failed).toBe(0);
    expect(load!.versions.at(-1)).toBe('2');
  }, 90_000);

  it.each<[VersionFault, object, RegExp]>([
    ['crash-at-start', {}, /crashes is 1, the bar is 0/],
    ['crash-later', {}, /exit code 3.*crashes is 1, the bar is 0/],
    ['hang', {}, /does not answer.*crashes is 1/],
    ['leak', { rssGrowthMiB: 60 }, /rssGrowthMiB is \d+.*the bar is 60/],
    ['slow', { p95Ratio: 2 }, /p95Ratio is .*the bar is 2/],
    ['fail-requests', { errorRate: 0.05 }, /errorRate is 1, the bar is 0.05/],
  ])(
    'goes back when it has the fault "%s", offline too, and says why',
    async (fault, gates, reason) => {
      await serveOneWithFault(fault);
      // What is at fault in traffic is so with the server gone, and told when it is back.
      const isInTraffic = fault !== 'crash-at-start';
      await rig.desireTwo({ gates, durationS: fault === 'leak' ? 25 : 300 });
      if (isInTraffic) {
        await rig.trialIs('running');
        await rig.server.close();
        await waitUntil(() => load!.versions.includes('2') || load!.failed > 0, { timeoutMs: 30_000, what: 'version 2 to get traffic' });
        const isBack = async () =>
          JSON.parse(await readFile(join(rig.agent.dir, 'reported.json'), 'utf8')).workloads[0].trial?.revertedInMs;
        await waitUntil(async () => typeof (await isBack()) === 'number', {
          timeoutMs: 40_000,
          what: 'version 1 to have its traffic back',
        });
        await rig.server.listen();
      }
      const { trial, error, state } = await rig.reverted();
      expect(trial.failure.message).toMatch(reason);
      expect(state).toBe('failed');
      expect(error).toMatchObject({ code: trial.failure.code, message: trial.failure.message });
      expect((await inferAt(rig.port)).version).toBe('1');
      if (!isInTraffic) expect(load!.versions).not.toContain('2');
    },
    90_000,
  );

  it('goes back when it answers the golden set wrongly, before it has traffic', async () => {
    rig = await TrialRig.start(makePackage({ version: '2', gain: -1 }));
    await rig.serveOne();
    load = await rig.load();
    await rig.desireTwo({ golden: await rig.addGolden('green'), gates: { goldenAccuracy: 0.9, goldenAccuracyDrop: 0.05 } });
    const { trial } = await rig.reverted();
    expect(trial.failure).toMatchObject({
      code: 'GATE_NOT_PASSED',
      message: expect.stringContaining('goldenAccuracy is 0, the bar is 0.9 (10 samples'),
    });
    expect(trial.checks.find(({ gate }) => gate === 'goldenAccuracyDrop')).toMatchObject({ value: 1, baseline: 1, passed: false });
    await load.stop();
    expect(new Set(load.versions)).toEqual(new Set(['1']));
  }, 60_000);

  it('passes with a golden set that it answers, and refuses one that is not signed by its server', async () => {
    rig = await TrialRig.start();
    await rig.serveOne();
    const forged = await rig.addGolden('green', (text) => text.replace(/"payload":"ey/, '"payload":"eY'));
    await rig.desireTwo({ golden: forged, gates: { goldenAccuracy: 0.9 } });
    expect((await rig.reverted()).trial.failure).toMatchObject({ code: 'SIGNATURE_INVALID' });
    await rig.desireTwo({ id: 'trial-2', golden: await rig.addGolden('green'), durationS: 1, gates: { goldenAccuracy: 0.9 } });
    const { trial } = await rig.server.reported(
      'passes',
      (workload) => workload.trial?.id === 'trial-2' && workload.trial.state === 'passed',
    );
    expect(trial!.checks.find(({ gate }) => gate === 'goldenAccuracy')).toMatchObject({ value: 1, samples: 10, passed: true });
  }, 60_000);

  it('is not tried again under the same id, also after a restart, and is under another one', async () => {
    rig = await TrialRig.start();
    const env = await withVersionFault(rig.agent.dir, 'crash-at-start');
    const agent = await rig.serveOne(env);
    await rig.desireTwo();
    await rig.reverted();
    agent.kill('SIGKILL');
    await exited(agent);
    rig.server.reports.length = 0;
    rig.agent.run(env);
    const again = await rig.server.reported('serves 1', (workload) => workload.servingVersion === '1');
    expect(again).toMatchObject({ desiredVersion: '2', state: 'failed', trial: { id: 'trial-1', state: 'failed' } });
    expect(await rig.agent.modelServers()).toHaveLength(1);
    await rig.desireTwo({ id: 'trial-2' });
    await rig.server.reported('has tried again', ({ trial }) => trial?.id === 'trial-2' && trial.state === 'failed');
  }, 60_000);

  it('goes on after a restart of the agent, and goes back when the version does not come up again', async () => {
    rig = await TrialRig.start();
    let agent = await rig.serveOne();
    await rig.desireTwo({ durationS: 600 });
    await rig.trialIs('running');
    agent.kill('SIGKILL');
    await exited(agent);
    rig.server.reports.length = 0;
    agent = rig.agent.run();
    await rig.server.reported('is on trial again', ({ trial, servingVersion }) => trial?.state === 'running' && servingVersion === '2');
    await waitUntil(async () => (await rig.agent.modelServers()).length === 2, { timeoutMs: 15_000, what: 'both versions to run' });
    agent.kill('SIGKILL');
    await exited(agent);
    rig.server.reports.length = 0;
    rig.agent.run(await withVersionFault(rig.agent.dir, 'crash-at-start'));
    expect((await rig.reverted()).trial.failure.message).toMatch(/crashes is 1/);
    expect((await inferAt(rig.port)).version).toBe('1');
  }, 90_000);
});
