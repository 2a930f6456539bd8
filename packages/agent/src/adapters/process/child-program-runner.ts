import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { AppError, type TerminalSize } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import type { ProgramOutput, ProgramRunner, RunningProgram } from '../../ports/program-runner.ts';
import { processFacts, signalSessions, terminalChild } from './proc-processes.ts';
import { cleanEnvironment, programAccount } from './program-account.ts';

type OnOutput = (output: ProgramOutput) => void;

/** Gives its exit code on; waits for the shell even when its own input ends. */
const PYTHON_TERMINAL = 'import os,pty,sys\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

function startError(program: string, cause: unknown): AppError {
  const code = systemErrorCode(cause);
  if (code === 'ENOENT') return new AppError('NOT_FOUND', { message: `The device has no program "${program}".` }, { cause });
  if (code === 'EACCES' || code === 'EPERM')
    return new AppError('FORBIDDEN', { message: `The device's system does not let the agent run "${program}" so.` }, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError('WORKLOAD_FAILED', { message: `"${program}" could not be started: ${reason}` }, { cause });
}

/** Programs as child processes, each the leader of a session of its own, so that all of it can be ended together. */
export class ChildProgramRunner implements ProgramRunner {
  #terminal: Promise<readonly string[] | undefined> | undefined;

  async run(argv: readonly string[], user: string | undefined, onOutput: OnOutput): Promise<RunningProgram> {
    const account = await programAccount(user);
    const [program = '', ...args] = argv;
    const options = { env: cleanEnvironment(account), cwd: existsSync(account.home) ? account.home : '/', ...account.ids };
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    return follow(child, program, (source, bytes) => onOutput({ source, bytes }));
  }

  async openTerminal(
    what: { program: string; user: string | undefined; size: TerminalSize; term: string },
    onOutput: OnOutput,
  ): Promise<RunningProgram> {
    this.#terminal ??= findTerminal();
    const wrapper = await this.#terminal;
    if (wrapper === undefined) {
      throw new AppError('SETUP_INCOMPLETE', {
        message: 'The device has neither "script" of util-linux nor python3, one of which makes the terminal of a shell.',
      });
    }
    const account = await programAccount(what.user);
    const begin = `stty rows ${what.size.rows} cols ${what.size.columns}; exec "$SHELL"`;
    const isScript = wrapper[0] === 'script';
    const [program = '', ...args] = isScript ? [...wrapper, begin, '/dev/null'] : [...wrapper, '/bin/sh', '-c', begin];
    const env = { ...cleanEnvironment(account), TERM: what.term, SHELL: what.program };
    const cwd = existsSync(account.home) ? account.home : '/';
    const child = spawn(program, args, { env, cwd, ...account.ids, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    return follow(child, program, (_, bytes) => onOutput({ source: 'pty', bytes }));
  }

  killLeftover({ pid, startTicks }: { pid: number; startTicks: number }): void {
    if (processFacts(pid)?.startTicks === startTicks) signalSessions([pid], 'SIGKILL');
  }
}

/** The program that puts another one on a terminal, with its first arguments. */
async function findTerminal(): Promise<readonly string[] | undefined> {
  const answers = (program: string, args: string[], expected: RegExp) =>
    new Promise<boolean>((resolve) => {
      execFile(program, args, { timeout: 10_000 }, (error, stdout) => resolve(error === null && expected.test(stdout)));
    });
  // That of busybox does not give the exit code on.
  if (await answers('script', ['--version'], /util-linux/)) return ['script', '-qefc'];
  if (await answers('python3', ['-c', 'import pty; print("ok")'], /ok/)) return ['python3', '-c', PYTHON_TERMINAL];
  return undefined;
}

async function follow(
  child: ChildProcess,
  program: string,
  onOutput: (source: 'stdout' | 'stderr', bytes: Uint8Array) => void,
): Promise<RunningProgram> {
  child.stdout?.on('data', (bytes: Buffer) => onOutput('stdout', bytes));
  child.stderr?.on('data', (bytes: Buffer) => onOutput('stderr', bytes));
  child.stdin?.on('error', () => undefined); // it has ended; that shows by itself
  const ended = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(startError(program, cause)));
  });
  child.on('error', () => undefined); // of a kill that came too late
  const pid = child.pid ?? 0;
  return {
    process: { pid, startTicks: processFacts(pid)?.startTicks ?? 0 },
    ended,
    pause: () => {
      child.stdout?.pause();
      child.stderr?.pause();
    },
    resume: () => {
      child.stdout?.resume();
      child.stderr?.resume();
    },
    kill: (signal) => {
      const onTerminal = terminalChild(pid);
      signalSessions(onTerminal === undefined ? [pid] : [pid, onTerminal.session], signal);
    },
    write: (bytes) => void child.stdin?.write(bytes),
    resize: ({ columns, rows }) => {
      const onTerminal = terminalChild(pid);
      // Whoever is in the foreground there hears of it by SIGWINCH; one that just ends does not need to.
      if (onTerminal !== undefined)
        execFile('stty', ['-F', onTerminal.device, 'rows', String(rows), 'cols', String(columns)], () => undefined);
    },
  };
}
