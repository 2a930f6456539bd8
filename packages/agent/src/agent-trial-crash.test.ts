import type { ChildProcess } from 'node:child_process';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { exited, inferAt } from './testing/agent-rig.ts';
import { makePackage } from './testing/make-package.ts';
import { TrialRig } from './testing/trial-rig.ts';

let rig: TrialRig;
afterEach((context) => rig.agent.stop(context.task.result?.state === 'fail'));

/** Kills the agent with -9 as soon as it says that this step is done. @param version - whose step; without it any version's. */
function killAfter(agent: ChildProcess, step: string, version?: string): Promise<void> {
  let text = '';
  const done = new RegExp(`"step":"${step}","key":"${version ?? '\\d'}-`);
  agent.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    if (done.test(text)) agent.kill('SIGKILL');
  });
  return exited(agent);
}

/** Starts the agent again: one of these versions has to answer at once. */
async function restart(versions: readonly string[]): Promise<void> {
  rig.server.reports.length = 0;
  rig.agent.run();
  const first = await waitUntil(() => inferAt(rig.port).catch(() => undefined), {
    timeoutMs: 40_000,
    what: 'a version to be served again',
  });
  expect(versions).toContain(first.version);
}

describe('an agent that is killed during an update', () => {
  it.each(['fetch', 'verify', 'start', 'probe', 'test', 'switch', 'release'])(
    'serves the old or the new version again when it was killed after the step "%s", and ends with the new one',
    async (step) => {
      rig = await TrialRig.start();
      const agent = await rig.serveOne();
      const killed = killAfter(agent, step, step === 'release' ? undefined : '2');
      await rig.desireTwo({ durationS: 2, golden: await rig.addGolden('green'), gates: { goldenAccuracy: 0.9 } });
      await killed;
      await restart(['1', '2']);
      await rig.server.reported('serves 2', ({ trial }) => trial?.state === 'passed', 'colours', 60_000);
      expect((await inferAt(rig.port)).version).toBe('2');
    },
    150_000,
  );

  it('serves the old or the new version again when it was killed after the step "mirror", and ends with the new one', async () => {
    rig = await TrialRig.start();
    const killed = killAfter(await rig.serveOne(), 'mirror', '2');
    await rig.desireTwo({ mode: 'shadow', durationS: 2 });
    await killed;
    await restart(['1', '2']);
    await rig.server.reported('serves 2', ({ trial }) => trial?.state === 'passed', 'colours', 60_000);
    expect((await inferAt(rig.port)).version).toBe('2');
  }, 150_000);

  it.each(['drain', 'stop'])(
    'serves the new version again when it was killed after the step "%s" of the old one',
    async (step) => {
      rig = await TrialRig.start();
      const killed = killAfter(await rig.serveOne(), step, '1');
      await rig.server.desire('device-1', [rig.server.workload(rig.two)]);
      await killed;
      await restart(['2']);
      await rig.server.reported('serves 2', ({ servingVersion, state }) => servingVersion === '2' && state === 'serving');
    },
    150_000,
  );

  it('serves the new version again when it was killed after the step "collect" of one that is no longer kept', async () => {
    rig = await TrialRig.start();
    const agent = await rig.serveOne();
    const three = makePackage({ version: '3', gain: 1.002 });
    rig.server.addPackage(three);
    await rig.server.desire('device-1', [rig.server.workload(rig.two)]);
    await rig.server.reported('serves 2', ({ servingVersion, state }) => servingVersion === '2' && state === 'serving');
    const killed = killAfter(agent, 'collect', '1');
    await rig.server.desire('device-1', [rig.server.workload(three)]);
    await killed;
    await restart(['2', '3']);
    await rig.server.reported('serves 3', ({ servingVersion, state }) => servingVersion === '3' && state === 'serving');
  }, 150_000);
});
