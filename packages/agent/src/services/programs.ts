import { AppError, type Command, type OutputPage, type ProgramEnd } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { allowingRule, type CommandPolicy, type ShellPolicy } from '../domain/command-policy.ts';
import type { ProgramJournal, ProgramRecord } from '../ports/program-journal.ts';
import type { ProgramRunner, RunningProgram } from '../ports/program-runner.ts';
import { Program, type ProgramLimits } from './program.ts';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export interface RemotePolicy {
  commands: CommandPolicy;
  shell: ShellPolicy;
  reboot: boolean;
  /** Program and arguments that reboot the device. */
  rebootCommand: readonly string[];
  /** The file in which all this stands. */
  file: string;
}

export interface ProgramsOptions {
  runner: ProgramRunner;
  journal: ProgramJournal;
  /** Read anew for each command, so that a change of it holds at once. */
  policy: () => Promise<RemotePolicy>;
  log: Logger;
  clock: () => number;
}

const MAX_RUNNING = 8;
/** Ended programs whose last output is kept for a server that is away. */
const MAX_ENDED = 8;
const KEEP_ENDED_MS = 600_000;
const LOST: ProgramEnd = {
  exitCode: null,
  signal: null,
  error: { code: 'INTERRUPTED', message: 'Nobody knows how it ended: the agent stopped while it ran.' },
};

/**
 * The programs that the server runs on this device, as far as the device allows it.
 *
 * Invariants: a stream's program is started at most once, also when the command comes again after the agent was killed, as
 * its start is on disk before it begins; every program has an end, and none outlives the agent for long.
 */
export class Programs {
  readonly #options: ProgramsOptions;
  readonly #programs = new Map<string, Program>();

  constructor(options: ProgramsOptions) {
    this.#options = options;
  }

  /** Writes down the end of what an agent that was killed had begun, and ends what of it still runs. */
  async recover(): Promise<void> {
    const { journal, runner, log } = this.#options;
    for (const record of await journal.all()) {
      if (record.end !== null) continue;
      if (record.process !== null) runner.killLeftover(record.process);
      log.warn('a program of the server was cut short by the end of the agent', { stream: record.stream });
      await journal.put({ ...record, end: LOST });
    }
  }

  /** @throws AppError FORBIDDEN (user), NOT_FOUND (user), RATE_LIMITED (operational), DISK_FULL (operational). */
  async exec({ stream, argv, timeoutS }: CommandOf<'exec'>): Promise<void> {
    const { commands, file } = await this.#options.policy();
    if (allowingRule(commands, argv) === undefined) {
      this.#options.log.warn('a command of the server was refused', { argv, file });
      throw new AppError('FORBIDDEN', { message: `The device does not allow "${argv.join(' ').slice(0, 500)}": no rule in ${file} does.` });
    }
    const limits = {
      maxSeconds: Math.min(timeoutS, commands.maxSeconds),
      idleSeconds: null,
      maxOutputBytes: commands.maxOutputMiB * 2 ** 20,
    };
    this.#options.log.info('a command of the server', { argv, stream });
    await this.#start(stream, limits, (program) => this.#options.runner.run(argv, commands.user, (output) => program.take(output)));
  }

  /** @throws AppError FORBIDDEN (user), SETUP_INCOMPLETE (user), RATE_LIMITED (operational). */
  async shell({ stream, size, term }: CommandOf<'shell'>): Promise<void> {
    const { shell, file } = await this.#options.policy();
    if (!shell.enabled)
      throw new AppError('FORBIDDEN', { message: `The device does not allow shells: "shell.enabled" in ${file} is not true.` });
    const limits = { maxSeconds: null, idleSeconds: shell.idleTimeoutS, maxOutputBytes: null };
    this.#options.log.warn('a shell was opened by the server', { stream });
    const what = { program: shell.program, user: shell.user, size, term };
    await this.#start(stream, limits, (program) => this.#options.runner.openTerminal(what, (output) => program.take(output)));
  }

  /** @throws AppError FORBIDDEN (user). */
  async reboot({ stream, delayS }: CommandOf<'reboot'>): Promise<void> {
    const { reboot, rebootCommand, file } = await this.#options.policy();
    if (!reboot) throw new AppError('FORBIDDEN', { message: `The device does not allow reboots: "reboot" in ${file} is not true.` });
    const { journal, log, runner, clock } = this.#options;
    if ((await journal.get(stream)) !== undefined) return;
    // Taken as done before it is: after the reboot nobody could write it, and it must not happen twice.
    const end = { exitCode: 0, signal: null, error: null };
    await journal.put({ stream, startedAt: new Date(clock()).toISOString(), process: null, end });
    log.warn('the server reboots this device', { stream, delayS });
    setTimeout(
      () => {
        runner
          .run(rebootCommand, undefined, ({ bytes }) => log.warn('reboot', { output: Buffer.from(bytes).toString('utf8').slice(0, 500) }))
          .catch((error: unknown) => log.error('the device could not be rebooted', describeError(error)));
      },
      // Never so soon that the answer would not get out.
      Math.max(delayS, 1) * 1000,
    );
  }

  /** @throws AppError NOT_FOUND (user) when there was never such a program. */
  async read({ stream, after, waitMs }: CommandOf<'read-output'>): Promise<OutputPage> {
    const program = this.#programs.get(stream);
    if (program !== undefined) return program.read(after, waitMs);
    const record = await this.#record(stream);
    return { chunks: [], end: record.end ?? LOST };
  }

  /** @throws AppError NOT_FOUND (user), CONFLICT (user) when it has ended. */
  write({ stream, sequence, dataBase64, size }: CommandOf<'write-input'>): void {
    const program = this.#programs.get(stream);
    if (program === undefined) throw new AppError('NOT_FOUND', { message: `No program "${stream}" runs on the device.` });
    program.write(sequence, dataBase64 === undefined ? undefined : Buffer.from(dataBase64, 'base64'), size);
  }

  cancel({ stream }: CommandOf<'end-program'>): void {
    this.#programs.get(stream)?.cancel('CANCELLED', 'It was cancelled.');
  }

  /** Ends everything; the agent stops. */
  async stop(): Promise<void> {
    const running = [...this.#programs.values()].filter((program) => program.isRunning);
    await Promise.all(running.map((program) => program.kill('INTERRUPTED', 'The agent was stopped while it ran.')));
  }

  async #record(stream: string): Promise<ProgramRecord> {
    const record = await this.#options.journal.get(stream);
    if (record === undefined) throw new AppError('NOT_FOUND', { message: `The device knows no program "${stream}".` });
    return record;
  }

  async #start(stream: string, limits: ProgramLimits, begin: (program: Program) => Promise<RunningProgram>): Promise<void> {
    const { journal, clock, log } = this.#options;
    if (this.#programs.has(stream) || (await journal.get(stream)) !== undefined) return;
    this.#forgetEnded();
    if ([...this.#programs.values()].filter((program) => program.isRunning).length >= MAX_RUNNING)
      throw new AppError('RATE_LIMITED', { message: `${MAX_RUNNING} programs run on the device already.` });
    const record: ProgramRecord = { stream, startedAt: new Date(clock()).toISOString(), process: null, end: null };
    let known = record;
    const program = new Program(limits, (end) => {
      log.info('a program of the server has ended', { stream, ...end });
      return journal.put({ ...known, end });
    });
    this.#programs.set(stream, program);
    try {
      await journal.put(record);
      const running = await begin(program);
      program.follow(running);
      known = { ...record, process: running.process };
      if (program.isRunning) await journal.put(known);
    } catch (error) {
      // It is known not to have begun: the reply says so, and asked again it is tried again by nobody.
      const { code, message } = error instanceof AppError ? error : new AppError('INTERNAL', { message: String(error) });
      await program.finish({ exitCode: null, signal: null, error: { code, message } });
      throw error;
    }
  }

  #forgetEnded(): void {
    const nowMs = performance.now();
    const ended = [...this.#programs].filter(([, program]) => program.endedAtMs !== null);
    const surplus = ended.length - MAX_ENDED;
    ended.forEach(([stream, { endedAtMs }], at) => {
      if (at < surplus || nowMs - (endedAtMs ?? nowMs) > KEEP_ENDED_MS) this.#programs.delete(stream);
    });
  }
}
