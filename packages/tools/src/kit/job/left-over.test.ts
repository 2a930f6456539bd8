import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ToolClient, ToolHarness } from '../../testing/tool-harness.ts';

const MAIN = fileURLToPath(new URL('../../testing/tool-main.ts', import.meta.url));
const harness = new ToolHarness();
const tools: ChildProcess[] = [];

afterEach(async () => {
  for (const tool of tools.splice(0)) await kill(tool);
});
afterAll(() => harness.end());

async function kill(tool: ChildProcess): Promise<void> {
  if (tool.exitCode !== null || tool.signalCode !== null) return;
  const gone = once(tool, 'exit');
  tool.kill('SIGKILL');
  await gone;
}

/** A tool as a process of its own. */
async function start(dataDir: string): Promise<{ tool: ChildProcess; client: ToolClient }> {
  const args = ['--import', import.meta.resolve('tsx'), MAIN, dataDir];
  const tool = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  tools.push(tool);
  const [line] = await once(createInterface({ input: tool.stdout }), 'line');
  return { tool, client: new ToolClient(`http://127.0.0.1:${String(line)}`) };
}

/** Of the job's process and of one that it has started, as the last attempt tells them. */
function pidsOf(client: ToolClient, attempt: number): Promise<number[]> {
  return waitUntil(
    async () => {
      const found = [...(await client.text('/artifacts/work/log')).matchAll(/pids (\d+) (\d+)/g)][attempt - 1];
      return found === undefined ? undefined : [Number(found[1]), Number(found[2])];
    },
    { timeoutMs: 30_000, intervalMs: 20, what: `attempt ${attempt} to tell its processes` },
  );
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}`);
const gone = (pids: number[]) => waitUntil(() => !pids.some(isAlive), { timeoutMs: 30_000, what: 'the processes to be gone' });

describe('a tool that is killed in the middle of a job', { timeout: 90_000 }, () => {
  it.each(['wait', 'ignore-the-end', 'compute'])('leaves no process behind, whatever the job is at (%s)', async (does) => {
    const { tool, client } = await start(await harness.folder());
    await client.post({ name: 'work', parameters: { does } });
    const pids = await pidsOf(client, 1);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await kill(tool);
    await gone(pids);
  });

  it('ends a process that could not notice, and does the work again, when it is started anew', async () => {
    const dataDir = await harness.folder();
    const first = await start(dataDir);
    await first.client.post({ name: 'work', parameters: { does: 'wait' } });
    const [job = 0, child = 0] = await pidsOf(first.client, 1);
    process.kill(job, 'SIGSTOP');
    await kill(first.tool);
    expect([job, child].map(isAlive)).toEqual([true, true]);
    const second = await start(dataDir);
    await gone([job, child]);
    const again = await pidsOf(second.client, 2);
    expect(await second.client.status('work')).toMatchObject({ status: 'in-progress', attempt: 2 });
    await second.client.fetch('/artifacts/work/cancel', { method: 'POST' });
    await second.client.waitFor('work', ['cancelled']);
    await gone(again);
  });
});
