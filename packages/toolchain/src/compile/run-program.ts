import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { timeoutSignal } from '@selvedge/runtime';

const MAX_OUTPUT_BYTES = 256 * 1024;

export interface ProgramResult {
  /** -1 when a signal ended it. */
  exitCode: number;
  /** At most 256 KiB each. */
  stdout: string;
  stderr: string;
}

export interface ProgramOptions {
  cwd?: string;
  signal?: AbortSignal;
  /** Ends the program; default 10 minutes. */
  timeoutMs?: number;
}

/**
 * Runs a program to its end. Its environment is almost empty, so that what it makes does not depend on the caller's.
 *
 * @throws the signal's reason when aborted; a system error when it cannot be started.
 */
export async function runProgram(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const signal = timeoutSignal(options.timeoutMs ?? 600_000, options.signal);
  signal.throwIfAborted();
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', SOURCE_DATE_EPOCH: '0', TMPDIR: process.env.TMPDIR ?? '/tmp' },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stop = () => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (output[name].length < MAX_OUTPUT_BYTES) output[name] += text;
    });
  }
  try {
    const [exitCode]: (number | null)[] = await once(child, 'close');
    options.signal?.throwIfAborted();
    return { exitCode: exitCode ?? -1, ...output };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
