import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeControlGroup, resourceLimits, withRlimits } from './resource-limits.ts';

const MIB = 1024 * 1024;
const run = promisify(execFile);
/** Takes and touches 300 MiB. */
const GREEDY = [process.execPath, '-e', 'const b = Buffer.alloc(300 * 1024 * 1024, 1); console.log(b.length)'];

describe('makeControlGroup', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'selvedge-cgroup-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('writes what cgroup v2 wants', async () => {
    await writeFile(join(root, 'cgroup.controllers'), 'cpu memory pids');
    const group = await makeControlGroup('d.w 1', { memoryBytes: 64 * MIB, cpus: 0.5 }, root);
    await group?.add(42);
    const read = (name: string) => readFile(join(root, 'selvedge', 'd.w_1', name), 'utf8');
    expect(await Promise.all([read('memory.max'), read('cpu.max'), read('cgroup.procs')])).toEqual(['67108864', '50000 100000', '42']);
  });

  it('writes what cgroup v1 wants', async () => {
    for (const controller of ['memory', 'cpu']) await mkdir(join(root, controller));
    await writeFile(join(root, 'memory', 'memory.limit_in_bytes'), '-1');
    await makeControlGroup('w', { memoryBytes: 64 * MIB, cpus: 2 }, root);
    expect(await readFile(join(root, 'memory', 'selvedge', 'w', 'memory.limit_in_bytes'), 'utf8')).toBe('67108864');
    expect(await readFile(join(root, 'cpu', 'selvedge', 'w', 'cpu.cfs_quota_us'), 'utf8')).toBe('200000');
  });

  it('gives none where there is nothing to write to', async () => {
    expect(await makeControlGroup('w', { memoryBytes: MIB, cpus: null }, root)).toBeUndefined();
  });

  it('ends a process that wants more memory, where this machine lets us make groups', async () => {
    const group = await makeControlGroup(`test-${process.pid}`, { memoryBytes: 128 * MIB, cpus: null });
    if (group === undefined) return; // rlimits are what such a machine has: the test below
    // It waits for a line, so that it is in its group before it takes memory.
    const [program = '', ...args] = ['/bin/sh', '-c', 'read line; exec "$@"', 'sh', ...GREEDY];
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
    const end = new Promise<string>((resolve) => child.on('exit', (code, signal) => resolve(signal ?? `code ${code}`)));
    await group.add(child.pid ?? 0);
    child.stdin.end('go\n');
    expect(await end).toBe('SIGKILL');
    await group.remove();
  });
});

describe('withRlimits', () => {
  it('lets a command run within its limit and not beyond', async () => {
    const measure = (memoryBytes: number) => {
      const [program = '', ...args] = withRlimits(['/bin/sh', '-c', 'echo "$0 $(ulimit -v)"', 'a b'], { memoryBytes, cpus: null });
      return run(program, args).then(({ stdout }) => stdout.trim());
    };
    expect(await measure(200 * MIB)).toBe(`a b ${200 * 1024}`);
    const [program = '', ...args] = withRlimits(['/bin/sh', '-c', 'x=$(head -c 100000000 /dev/zero | tr "\\0" a); echo done'], {
      memoryBytes: 20 * MIB,
      cpus: null,
    });
    await expect(run(program, args)).rejects.toThrow();
  });
});

describe('resourceLimits', () => {
  it('leaves a quarter of the machine to everything else by default', () => {
    expect(resourceLimits({}).memoryBytes).toBeGreaterThan(0);
    expect(resourceLimits({ memoryLimitMiB: 64, cpuLimit: 1.5 })).toEqual({ memoryBytes: 64 * MIB, cpus: 1.5 });
  });
});
