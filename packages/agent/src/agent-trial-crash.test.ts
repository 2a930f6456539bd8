import type { ChildProcess } from 'node:child_process';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { exited, inferAt } from './testing/agent-rig.ts';
import { TrialRig } from './testing/trial-rig.ts';

let rig: TrialRig;
afterEach((context) => rig.agent.stop(context.task.result?.state === 'fail'));

/** Kills the agent with -9 as soon as it says that this step of version 2 is done. */
function killAfter(agent: ChildProcess, step: string): Promise<void> {
  let text = '';
  agent.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    if (text.split('\n').some((line) => line.includes(`"step":"${step}"`) && (step === 'release' || line.includes('"key":"2-'))))
      agent.kill('SIGKILL');
  });
  return exited(agent);
}

describe('an agent that is killed during an update', () => {
  it.each(['fetch', 'verify', 'start', 'probe', 'test', 'switch', 'release'])(
    'serves the old or the new version again when it was killed after the step "%s", and ends with the new one',
    async (step) => {
      rig = await TrialRig.start();
      const agent = await rig.serveOne();
      const killed = killAfter(agent, step);
      await rig.desireTwo({ durationS: 2, golden: await rig.addGolden('green'), gates: { goldenAccuracy: 0.9 } });
      await killed;
      rig.server.reports.length = 0;
      rig.agent.run();
      const first = await waitUntil(() => inferAt(rig.port).catch(() => undefined), {
        timeoutMs: 40_000,
        what: 'a version to be served again',
      });
      expect(['1', '2']).toContain(first.version);
      await rig.server.reported('serves 2', ({ trial }) => trial?.state === 'passed', 'colours', 60_000);
      expect((await inferAt(rig.port)).version).toBe('2');
    },
    150_000,
  );
});
