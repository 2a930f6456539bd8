import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

interface ProcessFacts {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** When it started, in clock ticks since boot: with the pid it names one process for as long as the machine is up. */
  startTicks: number;
}

/** undefined when there is no such process. */
export function processFacts(pid: number): ProcessFacts | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it has ended
  }
  // The name in brackets may hold anything; the third field is the first behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), session: Number(fields[3]), startTicks: Number(fields[19]) };
}

function allProcesses(): ProcessFacts[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processFacts(Number(name)) ?? []);
}

/** The process on the terminal that this one holds the other end of: its only child, which leads a session of its own. */
export function terminalChild(pid: number): { session: number; device: string } | undefined {
  for (const child of allProcesses().filter(({ parent, session }) => parent === pid && session !== pid)) {
    try {
      const device = readlinkSync(`/proc/${child.pid}/fd/0`);
      if (device.startsWith('/dev/pts/')) return { session: child.session, device };
    } catch {
      // it has ended, or is not ours to look into
    }
  }
  return undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended meanwhile
  }
}

/** Sends a signal to everything in the sessions of these processes, and to their groups. */
export function signalSessions(sessions: readonly number[], name: NodeJS.Signals): void {
  for (const session of sessions) signal(-session, name);
  for (const one of allProcesses()) if (sessions.includes(one.session)) signal(one.pid, name);
}
