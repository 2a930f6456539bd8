import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '@selvedge/runtime';
import { makePackage } from '../../packages/agent/src/testing/make-package.ts';
import { TestServer } from '../../packages/agent/src/testing/test-server.ts';

const AGENT = fileURLToPath(new URL('../../packages/agent/bin/selvedge-agent', import.meta.url));
const INPUT = { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 3, 4, 4], data: Array.from({ length: 48 }, () => 0.5) }] };

function start(args: readonly string[]): ChildProcess {
  return spawn(AGENT, args, { stdio: ['pipe', 'ignore', 'ignore'], env: { ...process.env, SELVEDGE_EXIT_WITH_PARENT: '1' } });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve() : child.on('exit', () => resolve())));
}

/** From the start of an agent that was killed, with its server gone, to the first answer of the model that it serves; milliseconds, one for each time. */
export async function measureRestarts(times: number): Promise<number[]> {
  const server = await TestServer.start();
  const dir = await mkdtemp(join(tmpdir(), 'selvedge-restart-'));
  let agent: ChildProcess | undefined;
  try {
    await ended(start(['join', server.url, '--token', server.token, '--dir', dir]));
    const pack = makePackage();
    server.addPackage(pack);
    await server.desire('device-1', [server.workload(pack)]);
    agent = start(['run', '--dir', dir]);
    const { port } = await server.reported('serves', (workload) => workload.state === 'serving');
    await server.close();
    const url = `http://127.0.0.1:${port}/v2/models/${pack.manifest.model}/infer`;
    const ask = () =>
      fetch(url, { method: 'POST', body: JSON.stringify(INPUT) }).then(
        ({ ok }) => ok,
        () => false,
      );
    const figures: number[] = [];
    for (let time = 0; time < times; time += 1) {
      agent.kill('SIGKILL');
      await ended(agent);
      await waitUntil(async () => !(await ask()), { timeoutMs: 10_000, intervalMs: 20, what: 'the model server of before to be gone' });
      const startedMs = performance.now();
      agent = start(['run', '--dir', dir]);
      await waitUntil(ask, { timeoutMs: 30_000, intervalMs: 10, what: 'an answer' });
      figures.push(Math.round(performance.now() - startedMs));
    }
    return figures;
  } finally {
    agent?.kill('SIGKILL');
    if (agent !== undefined) await ended(agent);
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
