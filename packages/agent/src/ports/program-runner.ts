import type { TerminalSize } from '@selvedge/contract';

export interface ProgramOutput {
  source: 'stdout' | 'stderr' | 'pty';
  bytes: Uint8Array;
}

/** A program that runs for the server, with all that it starts. */
export interface RunningProgram {
  /** Enough to find it again after the agent was killed. */
  readonly process: { pid: number; startTicks: number };
  /** Resolves when it has ended and all of its output was given. */
  readonly ended: Promise<{ exitCode: number | null; signal: string | null }>;
  /** Stops and goes on reading what it writes; its pipe holds it back. */
  pause(): void;
  resume(): void;
  /** Ends it and what it has started. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** To a terminal only. */
  write(bytes: Uint8Array): void;
  resize(size: TerminalSize): void;
}

export interface ProgramRunner {
  /**
   * Starts a program without a shell, in a clean environment, with nothing on its stdin.
   * @throws AppError NOT_FOUND (user) when there is no such program or user, FORBIDDEN (user) when it may not be run.
   */
  run(argv: readonly string[], user: string | undefined, onOutput: (output: ProgramOutput) => void): Promise<RunningProgram>;
  /**
   * Starts a shell on a terminal of its own.
   * @throws AppError SETUP_INCOMPLETE (user) when the device has nothing that makes terminals.
   */
  openTerminal(
    what: { program: string; user: string | undefined; size: TerminalSize; term: string },
    onOutput: (output: ProgramOutput) => void,
  ): Promise<RunningProgram>;
  /** Ends what is left of a program of an agent that was killed. */
  killLeftover(process: { pid: number; startTicks: number }): void;
}
