import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { AppError } from '@selvedge/contract';
import { ERROR_FORMAT_ENV, EXIT_WITH_PARENT_ENV, exitWithParent } from '@selvedge/runtime';
import { ChildEnded } from './child-ended.ts';
import type { Io } from './io.ts';

export interface ForegroundOptions {
  readonly command: readonly [string, ...string[]];
  /** What it is, for messages, like `the server`. */
  readonly what: string;
  readonly io: Io;
  /** Instead of this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** The program is to print its error as one line of problem JSON. */
  readonly errorsAsJson: boolean;
  /** Called with each line of the program's stdout. */
  readonly onLine: (line: string) => void;
}

/** SIGTERM is given this long, in milliseconds. */
const GRACE_MS = 15_000;

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Runs a program until it ends; Ctrl-C asks it once, with SIGTERM, to end.
 *
 * It has a process group of its own, so that the terminal's Ctrl-C reaches it through us and only once; its stdin is held
 * open, so that it ends with us however we end.
 *
 * @throws ChildEnded when it ended with another code than 0 unasked; AppError SETUP_INCOMPLETE when it could not start.
 */
export async function runForeground(options: ForegroundOptions): Promise<void> {
  const [program, ...args] = options.command;
  const { io } = options;
  const child = spawn(program, args, {
    cwd: io.cwd,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...(options.env ?? io.env), [EXIT_WITH_PARENT_ENV]: '1', ...(options.errorsAsJson ? { [ERROR_FORMAT_ENV]: 'json' } : {}) },
  });
  child.stdin.on('error', () => undefined); // it has ended; that is handled below
  const lines = createInterface({ input: child.stdout }).on('line', options.onLine);
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill('SIGTERM');
    killer ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  io.signal.addEventListener('abort', stop, { once: true });
  exitWithParent(stop);
  try {
    const linesRead = once(lines, 'close');
    const [code, signal] = await once(child, 'exit');
    await linesRead;
    if (code === 0 || killer !== undefined) return;
    if (code === null) {
      throw new AppError('STEP_FAILED', {
        message: `${sentenceCase(options.what)} was ended from outside by ${String(signal)}.`,
        hint: 'Nothing acknowledged is lost: call the command again and it goes on where it was.',
      });
    }
    throw new ChildEnded(Number(code));
  } catch (error) {
    if (child.pid !== undefined) throw error;
    throw new AppError('SETUP_INCOMPLETE', { message: `${program} could not be started.`, hint: 'Run "npm run build".' }, { cause: error });
  } finally {
    clearTimeout(killer);
    io.signal.removeEventListener('abort', stop);
  }
}
