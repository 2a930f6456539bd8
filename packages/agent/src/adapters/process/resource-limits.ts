import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { pathExists, systemErrorCode } from '@selvedge/runtime';

/** What one workload may use at most. */
export interface ResourceLimits {
  memoryBytes: number;
  /** In cores; null: no limit. */
  cpus: number | null;
}

/** A group of the kernel that holds one process, and what it starts, to its limits. */
export interface ControlGroup {
  add(pid: number): Promise<void>;
  /** Call when its processes have ended. */
  remove(): Promise<void>;
}

const MIB = 1024 * 1024;
const ROOT = '/sys/fs/cgroup';
const GROUP = 'selvedge';
/** Microseconds in which `cpus` times as much may be used; the kernel's default. */
const PERIOD_US = 100_000;

/** @param settings - of the agent; three quarters of the machine's memory where none is set. */
export function resourceLimits(settings: { memoryLimitMiB?: number | undefined; cpuLimit?: number | undefined }): ResourceLimits {
  const memoryBytes = settings.memoryLimitMiB === undefined ? Math.floor(totalmem() * 0.75) : settings.memoryLimitMiB * MIB;
  return { memoryBytes, cpus: settings.cpuLimit ?? null };
}

function groupOf(folders: readonly string[]): ControlGroup {
  return {
    async add(pid) {
      for (const folder of folders) await writeFile(join(folder, 'cgroup.procs'), String(pid));
    },
    async remove() {
      // A group with a process that is just ending is busy; it goes with the next one of its name.
      for (const folder of folders) await rmdir(folder).catch((error: unknown) => ignoreBusy(error));
    },
  };
}

function ignoreBusy(error: unknown): void {
  const code = systemErrorCode(error);
  if (code !== 'EBUSY' && code !== 'ENOENT') throw error;
}

/** cgroup v2: one tree for all controllers. */
async function makeUnified(name: string, limits: ResourceLimits, root: string): Promise<ControlGroup> {
  const parent = join(root, GROUP);
  const folder = join(parent, name);
  const wanted = limits.cpus === null ? '+memory' : '+memory +cpu';
  await writeFile(join(root, 'cgroup.subtree_control'), wanted);
  await mkdir(parent, { recursive: true });
  await writeFile(join(parent, 'cgroup.subtree_control'), wanted);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'memory.max'), String(limits.memoryBytes));
  if (limits.cpus !== null) await writeFile(join(folder, 'cpu.max'), `${Math.round(limits.cpus * PERIOD_US)} ${PERIOD_US}`);
  return groupOf([folder]);
}

/** cgroup v1, as on older systems and beside v2 on hybrid ones: a tree for each controller. */
async function makeLegacy(name: string, limits: ResourceLimits, root: string): Promise<ControlGroup> {
  const memory = join(root, 'memory', GROUP, name);
  await mkdir(memory, { recursive: true });
  await writeFile(join(memory, 'memory.limit_in_bytes'), String(limits.memoryBytes));
  if (limits.cpus === null) return groupOf([memory]);
  const cpu = join(root, 'cpu', GROUP, name);
  await mkdir(cpu, { recursive: true });
  await writeFile(join(cpu, 'cpu.cfs_period_us'), String(PERIOD_US));
  await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(Math.round(limits.cpus * PERIOD_US)));
  return groupOf([memory, cpu]);
}

/**
 * Makes a control group for a workload.
 *
 * @param name - unique on the machine; letters, digits, "-", "_", ".".
 * @returns undefined where the kernel has none for us: not root, nothing delegated, or no such controllers.
 */
export async function makeControlGroup(name: string, limits: ResourceLimits, root = ROOT): Promise<ControlGroup | undefined> {
  const safe = name.replace(/[^A-Za-z0-9_.-]+/g, '_').slice(0, 120);
  try {
    if (await pathExists(join(root, 'cgroup.controllers'))) {
      const controllers = await readFile(join(root, 'cgroup.controllers'), 'utf8');
      return controllers.includes('memory') ? await makeUnified(safe, limits, root) : undefined;
    }
    return (await pathExists(join(root, 'memory', 'memory.limit_in_bytes'))) ? await makeLegacy(safe, limits, root) : undefined;
  } catch {
    // EACCES, EROFS, EBUSY ("no internal processes"): each means that this machine does not let us. rlimits take over.
    return undefined;
  }
}

/**
 * The command with its address space limited instead, for machines without control groups for us.
 *
 * @see setrlimit(2) RLIMIT_AS
 */
export function withRlimits(command: readonly string[], limits: ResourceLimits): string[] {
  return ['/bin/sh', '-c', `ulimit -v ${Math.ceil(limits.memoryBytes / 1024)} && exec "$@"`, 'sh', ...command];
}
