import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { waitUntil } from './backoff.ts';
import type { ProcessGroupUsage } from './process-group.ts';
import { systemErrorCode } from './system-error.ts';

const PREFIX = 'selvedge-job-';
/** `cpu.max`: so many microseconds of CPU time in each period of that many. */
const CPU_PERIOD_US = 100_000;
/** How long killed processes may take to leave the group. */
const LEAVE_MS = 5000;

export interface ControlGroupLimits {
  /** Null: not limited. */
  readonly memoryBytes: number | null;
  /** CPU time per time; null: not limited. Obeyed where the subtree has the controller `cpu`. */
  readonly cpus: number | null;
}

/**
 * A control group (cgroup v2) for one piece of work: the kernel ends all its processes when they have more memory than they
 * may, sees to it between any two looks of ours, and counts what they use, those that have left their process group included.
 *
 * Invariant: `remove` leaves no process of the group.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
export class ControlGroup {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes a group below a parent that `findControlGroupParent` has found. Groups of processes of ours that are gone are removed. */
  static create(parent: string, limits: ControlGroupLimits): ControlGroup {
    reap(parent);
    const group = new ControlGroup(join(parent, `${PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`));
    mkdirSync(group.path);
    try {
      if (limits.memoryBytes !== null) {
        group.#write('memory.max', String(limits.memoryBytes));
        // Else the limit would only move memory to the disk. Absent where the kernel has no swap.
        group.#writeIfThere('memory.swap.max', '0');
        group.#writeIfThere('memory.oom.group', '1');
      }
      if (limits.cpus !== null) group.#writeIfThere('cpu.max', `${Math.round(limits.cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    } catch (error) {
      rmdirSync(group.path);
      throw error;
    }
    return group;
  }

  /** The command as one that enters the group before it becomes the program: nothing of it runs outside. */
  enter(command: readonly string[]): string[] {
    return ['/bin/sh', '-c', 'echo 0 > "$0/cgroup.procs" && exec "$@"', this.path, ...command];
  }

  /** Peak: what the kernel remembers, since Linux 5.19; before, what is held now. */
  usage(): ProcessGroupUsage {
    const peak = readIfThere(join(this.path, 'memory.peak')) ?? readIfThere(join(this.path, 'memory.current')) ?? '0';
    return { peakBytes: Number(peak), cpuSeconds: this.#counter('cpu.stat', 'usage_usec') / 1e6 };
  }

  /** Whether the kernel has ended a process of the group because the group had reached its own limit, not the machine its. */
  get isOutOfMemory(): boolean {
    return this.#counter('memory.events', 'oom') > 0 && this.#counter('memory.events', 'oom_kill') > 0;
  }

  /** Ends what is left in the group and removes it. */
  async remove(): Promise<void> {
    await waitUntil(() => removeGroup(this.path), { timeoutMs: LEAVE_MS, intervalMs: 20, what: `the processes of ${this.path} to end` });
  }

  #counter(file: string, name: string): number {
    const text = readIfThere(join(this.path, file)) ?? '';
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  }

  #write(file: string, value: string): void {
    writeFileSync(join(this.path, file), value);
  }

  #writeIfThere(file: string, value: string): void {
    if (readIfThere(join(this.path, file)) !== undefined) this.#write(file, value);
  }
}

/**
 * A group below which this process may make others that limit memory: its own, or the one above when a service manager has
 * put us into a group of its own below one that it leaves to us (systemd: `Delegate=yes`, `DelegateSubgroup=`). It is tried
 * with a real process. Undefined where there is none: without cgroup v2, without the right to write, without `memory`.
 */
export async function findControlGroupParent(): Promise<string | undefined> {
  for (const parent of candidates()) if (await isUsable(parent)) return parent;
  return undefined;
}

function candidates(): string[] {
  const own = readIfThere('/proc/self/cgroup')?.match(/^0::(.*)$/m)?.[1];
  const mount = cgroup2Mount(readIfThere('/proc/self/mountinfo') ?? '');
  if (own === undefined || mount === undefined) return [];
  const inside = mount.root === '/' ? own : own.startsWith(mount.root) ? own.slice(mount.root.length) : undefined;
  if (inside === undefined) return [];
  const above = dirname(inside);
  // A slice is systemd's: what it has not delegated it may change or remove at any time.
  const paths = inside === '/' || inside === '' || basename(above).endsWith('.slice') ? [inside] : [inside, above];
  return paths.map((path) => join(mount.point, path));
}

/** @see proc(5), mountinfo: `36 35 98:0 /root /mount/point options - type source options` */
function cgroup2Mount(mountinfo: string): { root: string; point: string } | undefined {
  for (const line of mountinfo.split('\n')) {
    const [front = '', back = ''] = line.split(' - ');
    const [, , , root, point] = front.split(' ');
    if (back.startsWith('cgroup2 ') && root !== undefined && point !== undefined) return { root, point };
  }
  return undefined;
}

async function isUsable(parent: string): Promise<boolean> {
  try {
    accessSync(parent, constants.W_OK);
    if (!hasController(parent, 'cgroup.subtree_control', 'memory')) {
      if (!hasController(parent, 'cgroup.controllers', 'memory')) return false;
      writeFileSync(join(parent, 'cgroup.subtree_control'), '+memory');
    }
    if (hasController(parent, 'cgroup.controllers', 'cpu')) writeFileSync(join(parent, 'cgroup.subtree_control'), '+cpu');
    const group = ControlGroup.create(parent, { memoryBytes: 64 * 1024 * 1024, cpus: 1 });
    try {
      return existsSync(join(group.path, 'cgroup.kill')) && (await canRun(group.enter(['/bin/sh', '-c', ':'])));
    } finally {
      await group.remove();
    }
  } catch (error) {
    // What the kernel answers where a group is not ours to divide: no right to, processes inside it, a read-only mount.
    if (['EACCES', 'EPERM', 'EROFS', 'EBUSY', 'ENOENT', 'EINVAL', 'EOPNOTSUPP'].includes(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
}

function hasController(group: string, file: string, name: string): boolean {
  return (readIfThere(join(group, file)) ?? '').trim().split(' ').includes(name);
}

function canRun([program = '', ...args]: string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}

/** Groups of processes of ours that were killed: whoever is still in them is ended. */
function reap(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(PREFIX) ? /^(\d+)-[0-9a-f]+$/.exec(name.slice(PREFIX.length))?.[1] : undefined;
    if (pid !== undefined && readIfThere(`/proc/${pid}/stat`) === undefined) removeGroup(join(parent, name));
  }
}

/** Kills what is in a group; true once it is gone. */
function removeGroup(path: string): true | undefined {
  try {
    // Not made when it is not there: Linux before 5.14 has none, and no group of it is taken.
    if (readIfThere(join(path, 'cgroup.procs')) !== '') writeFileSync(join(path, 'cgroup.kill'), '1', { flag: 'r+' });
    rmdirSync(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return true;
    if (systemErrorCode(error) === 'EBUSY') return undefined;
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'ENODEV'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}
