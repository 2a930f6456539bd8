import type { RemoteCommand, Reply } from '@selvedge/contract';
import type { DeviceLogs } from '../ports/device-log.ts';
import { readLogs } from './log-reader.ts';
import type { Programs } from './programs.ts';

type Outcome = Extract<Reply['outcome'], { ok: true }>;
const DONE = { ok: true, done: true } as const;

/** Does what the server asks besides inference. */
export class RemoteCommands {
  readonly #programs: Programs;
  readonly #logs: DeviceLogs;
  readonly #restart: (workload: string) => Promise<void>;

  constructor(programs: Programs, logs: DeviceLogs, restart: (workload: string) => Promise<void>) {
    this.#programs = programs;
    this.#logs = logs;
    this.#restart = restart;
  }

  /** @throws AppError as the parts do. */
  async execute(command: RemoteCommand): Promise<Outcome> {
    switch (command.type) {
      case 'exec':
        await this.#programs.exec(command);
        return DONE;
      case 'shell':
        await this.#programs.shell(command);
        return DONE;
      case 'read-output':
        return { ok: true, output: await this.#programs.read(command) };
      case 'write-input':
        this.#programs.write(command);
        return DONE;
      case 'end-program':
        this.#programs.cancel(command);
        return DONE;
      case 'restart-workload':
        await this.#restart(command.workload);
        return DONE;
      case 'reboot':
        await this.#programs.reboot(command);
        return DONE;
      case 'logs':
        return { ok: true, logs: await readLogs(this.#logs, command) };
    }
  }

  /** Ends every program. */
  stop(): Promise<void> {
    return this.#programs.stop();
  }
}
