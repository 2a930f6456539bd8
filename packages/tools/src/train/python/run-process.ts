import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { signalProcessGroup } from '@selvedge/runtime';

/** How long a process may take to end after SIGTERM; below what a job is given as a whole. */
const END_GRACE_MS = 4000;
/** How long processes that it has left behind may hold its pipes open. */
const DRAIN_LIMIT_MS = 2000;
/** A longer line is cut: nothing that a script prints may fill the memory. */
const MAX_LINE_CHARACTERS = 16 * 1024;

export interface ProcessOptions {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes it the leader of a process group, which ends with it; else it stays in ours. */
  readonly ownGroup: boolean;
  /** Asks the process to end (SIGTERM), then kills it. */
  readonly signal: AbortSignal;
  onLine(stream: 'stdout' | 'stderr', line: string): void;
  /** Called once it runs, with what kills it at once. */
  onStart?(kill: () => void): void;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * Runs a process to its end. Returns when it is gone and its output has been read, also after an abort: the caller looks at
 * the signal.
 *
 * @throws Error with the system's code when it cannot be started.
 */
export async function runProcess(options: ProcessOptions): Promise<ProcessEnd> {
  const { command, cwd, env, ownGroup, signal, onLine, onStart } = options;
  signal.throwIfAborted();
  const [program, ...args] = command;
  const child = spawn(program, args, { cwd, env, detached: ownGroup, stdio: ['ignore', 'pipe', 'pipe'] });
  const send = (name: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    if (ownGroup) signalProcessGroup(child.pid, name);
    else child.kill(name);
  };
  let killer: NodeJS.Timeout | undefined;
  const abort = () => {
    send('SIGTERM');
    killer = setTimeout(() => send('SIGKILL'), END_GRACE_MS);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    readLines(child.stdout, (line) => onLine('stdout', line));
    readLines(child.stderr, (line) => onLine('stderr', line));
    onStart?.(() => send('SIGKILL'));
    return await endOf(child, () => send('SIGKILL'));
  } finally {
    clearTimeout(killer);
    signal.removeEventListener('abort', abort);
  }
}

/** @param killRest - ends what is left of its group. */
function endOf(child: ChildProcess, killRest: () => void): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      if (child.pid === undefined) reject(error);
    });
    let drain: NodeJS.Timeout | undefined;
    child.once('exit', () => {
      killRest();
      drain = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, DRAIN_LIMIT_MS);
    });
    child.once('close', (code, signal) => {
      clearTimeout(drain);
      if (child.pid !== undefined) resolve({ code, signal });
    });
  });
}

/** Lines as they come; of one that is written over and over (a progress bar) what it shows last. */
function readLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string) => {
    const lines = (rest + text).split('\n');
    rest = shown(lines.pop() ?? '');
    for (const line of lines) onLine(shown(line));
  };
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)));
  stream.on('end', () => {
    take(decoder.end());
    if (rest !== '') onLine(rest);
  });
}

function shown(line: string): string {
  const last = line.endsWith('\r') ? line.slice(0, -1) : line;
  return last.slice(last.lastIndexOf('\r') + 1).slice(0, MAX_LINE_CHARACTERS);
}
