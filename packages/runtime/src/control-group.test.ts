import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { waitUntil } from './backoff.ts';
import { ControlGroup, findControlGroupParent } from './control-group.ts';

const MIB = 1024 * 1024;
/** Only the kernel can show these: skipped where this process may not divide a control group with the controller `memory`. */
const parent = await findControlGroupParent();

function start(group: ControlGroup, script: string, detached = false) {
  const [program = '', ...args] = group.enter([process.execPath, '-e', script]);
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], detached });
}

describe.skipIf(parent === undefined)('ControlGroup (needs a delegated cgroup v2 with the controller memory)', () => {
  const create = (limits: { memoryBytes: number | null; cpus: number | null }) => ControlGroup.create(parent ?? '', limits);

  it('ends all processes of a group that wants more memory than it may, and counts what they used', async () => {
    const group = create({ memoryBytes: 96 * MIB, cpus: null });
    const hungry = 'const held = []; for (;;) held.push(Buffer.alloc(4 << 20, 1))';
    const child = start(
      group,
      `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(hungry)}]); setInterval(() => {}, 1000)`,
    );
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(group.isOutOfMemory).toBe(true);
    expect(group.usage().peakBytes).toBeGreaterThan(90 * MIB);
    expect(group.usage().peakBytes).toBeLessThanOrEqual(97 * MIB);
    expect(group.usage().cpuSeconds).toBeGreaterThan(0);
    await group.remove();
    expect(existsSync(group.path)).toBe(false);
  });

  it('holds CPU time to its share', async () => {
    const group = create({ memoryBytes: null, cpus: 1 });
    expect(readFileSync(join(group.path, 'cpu.max'), 'utf8').trim()).toBe('100000 100000');
    await group.remove();
  });

  it('leaves no process behind, also none that has left the process group', async () => {
    const group = create({ memoryBytes: null, cpus: null });
    const child = start(group, `const c = require('node:child_process').spawn('sleep', ['600'], { detached: true }); console.log(c.pid)`);
    const [line] = await once(child.stdout, 'data');
    await group.remove();
    await waitUntil(() => !existsSync(`/proc/${Number(String(line))}`), { timeoutMs: 30_000, what: 'the process to be gone' });
  });

  it('removes groups that killed processes of ours have left', async () => {
    const gone = spawn('true');
    await once(gone, 'exit');
    const left = join(parent ?? '', `selvedge-job-${gone.pid}-00`);
    mkdirSync(left);
    await create({ memoryBytes: null, cpus: null }).remove();
    expect(existsSync(left)).toBe(false);
  });
});
