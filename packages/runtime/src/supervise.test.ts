import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { waitUntil } from './backoff.ts';
import { createLogger } from './log.ts';
import { type ProcessExit, SupervisedProcess } from './supervise.ts';

const quiet = createLogger({ name: 'test', write: () => undefined });
const backoff = { baseMs: 5, maxMs: 20, resetAfterMs: 60_000 };
const node = (script: string) => [process.execPath, '-e', script];
const within = (what: string) => ({ timeoutMs: 15_000, what, intervalMs: 10 });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('SupervisedProcess', () => {
  it('starts a killed child again and counts it', async () => {
    const exits: ProcessExit[] = [];
    const child = new SupervisedProcess({
      name: 'c',
      command: node('setInterval(() => 0, 1000)'),
      backoff,
      log: quiet,
      onExit: (exit) => exits.push(exit),
    });
    child.start();
    const first = await waitUntil(() => child.pid, within('the child'));
    process.kill(first, 'SIGKILL');
    const second = await waitUntil(() => (child.pid !== undefined && child.pid !== first ? child.pid : undefined), within('its successor'));
    expect(child.restarts).toBe(1);
    expect(exits[0]).toMatchObject({ code: null, signal: 'SIGKILL' });
    await child.stop();
    expect(isAlive(second)).toBe(false);
  });

  it('hands on what the child prints, line by line', async () => {
    const lines: string[] = [];
    const child = new SupervisedProcess({
      name: 'c',
      command: node('console.log("one"); console.error("two"); setInterval(() => 0, 1000)'),
      backoff,
      log: quiet,
      onLine: (stream, line) => lines.push(`${stream}: ${line}`),
    });
    child.start();
    await waitUntil(() => lines.length === 2, within('two lines'));
    expect(lines.sort()).toEqual(['stderr: two', 'stdout: one']);
    await child.stop();
  });

  it('kills a child that does not heed SIGTERM', async () => {
    let ready = false;
    const child = new SupervisedProcess({
      name: 'c',
      command: node('process.on("SIGTERM", () => 0); console.log("x"); setInterval(() => 0, 1000)'),
      backoff,
      log: quiet,
      onLine: () => {
        ready = true;
      },
    });
    child.start();
    await waitUntil(() => ready, within('the child'));
    await child.stop({ graceMs: 50 });
    expect(child.lastExit?.signal).toBe('SIGKILL');
    expect(child.pid).toBeUndefined();
  });

  it('reports a program that does not exist and tries again', async () => {
    const child = new SupervisedProcess({ name: 'c', command: ['/no/such/program'], backoff, log: quiet });
    child.start();
    await waitUntil(() => child.restarts >= 2, within('two tries'));
    await child.stop();
  });

  it('leaves no child behind when it is killed itself', async () => {
    const folder = new URL('.', import.meta.url).pathname;
    const script = `
      import { SupervisedProcess } from '${folder}supervise.ts';
      import { createLogger } from '${folder}log.ts';
      const grandchild = "import('${folder}main-process.ts').then((m) => m.exitWithParent(() => process.exit(0))); setInterval(() => 0, 1000); console.log('pid ' + process.pid)";
      new SupervisedProcess({ name: 'g', command: [process.execPath, '--import', 'tsx', '-e', grandchild], backoff: { baseMs: 10, maxMs: 10, resetAfterMs: 1 },
        log: createLogger({ name: 'p', write: () => {} }), onLine: (_, line) => console.log(line) }).start();`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface({ input: parent.stdout }), 'line');
    const pid = Number(String(line).replace('pid ', ''));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await waitUntil(() => !isAlive(pid), within('the grandchild to end'));
  });
});
