import { readdirSync, readFileSync } from 'node:fs';
import { systemErrorCode } from './system-error.ts';

/** The kernel's clock tick in /proc is 1/100 s on every platform of Linux. */
const TICKS_PER_SECOND = 100;
/** All processes of the machine are looked through so often; the ones that are known, at each sample. */
const SCAN_INTERVAL_MS = 1000;

export interface ProcessGroupUsage {
  /** The most resident memory seen so far, of all processes together. */
  readonly peakBytes: number;
  /** User and system time so far, of all processes, those that have ended included. */
  readonly cpuSeconds: number;
}

/**
 * Measures a process and all others of its group by /proc.
 *
 * Memory that processes share counts for each. A peak of one process between two samples is seen (the kernel keeps it), one
 * of several together may be missed.
 */
export class ProcessGroupMeter {
  readonly #leader: number;
  #members: readonly number[];
  #scannedAt = Number.NEGATIVE_INFINITY;
  #peakBytes = 0;
  #cpuSeconds = 0;

  /** @param leader - pid of the group's first process, which is the group's id too. */
  constructor(leader: number) {
    this.#leader = leader;
    this.#members = [leader];
  }

  sample(): ProcessGroupUsage {
    const now = performance.now();
    if (now - this.#scannedAt >= SCAN_INTERVAL_MS) {
      this.#scannedAt = now;
      this.#members = membersOf(this.#leader);
    }
    let resident = 0;
    let ticks = 0;
    for (const pid of this.#members) {
      const memory = memoryOf(pid);
      resident += memory.residentBytes;
      this.#peakBytes = Math.max(this.#peakBytes, memory.peakBytes);
      ticks += statOf(pid)?.ticks ?? 0;
    }
    this.#peakBytes = Math.max(this.#peakBytes, resident);
    // Time of an ended child is its parent's once that has waited for it; until then it is missing, so keep the largest.
    this.#cpuSeconds = Math.max(this.#cpuSeconds, ticks / TICKS_PER_SECOND);
    return { peakBytes: this.#peakBytes, cpuSeconds: this.#cpuSeconds };
  }
}

/** Sends a signal to every process of a group; false when there is none any more. */
export function signalProcessGroup(leader: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

function membersOf(group: number): number[] {
  const members = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid)?.group === group);
  return members.includes(group) ? members : [group, ...members];
}

function statOf(pid: number): { group: number; ticks: number } | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold anything; the third field is the first behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0);
  return { group: Number(fields[2]), ticks };
}

function memoryOf(pid: number): { residentBytes: number; peakBytes: number } {
  const status = readProc(`/proc/${pid}/status`) ?? '';
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { residentBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

/** Undefined when the process has ended. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
