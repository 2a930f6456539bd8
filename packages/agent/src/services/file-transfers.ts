import { AppError, type TransferResult } from '@selvedge/contract';
import type { DeviceFiles, PullCommand, PushCommand, PushFolderCommand } from '../ports/device-files.ts';

type TransferCommand = PushCommand | PushFolderCommand | PullCommand;

interface Job {
  readonly command: TransferCommand;
  readonly control: AbortController;
  readonly done: Promise<TransferResult>;
}

const MAX_AT_ONCE = 2;
const MAX_JOBS = 256;

/**
 * Transfers of files and folders, two at a time. One that is asked for again while it is under way is not begun anew: the server does so after
 * it has lost the connection, which the transfer itself survives.
 */
export class FileTransfers {
  readonly #files: DeviceFiles;
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(files: DeviceFiles) {
    this.#files = files;
  }

  /** @throws AppError as DeviceFiles does; RATE_LIMITED; CANCELLED. */
  transfer(command: TransferCommand): Promise<TransferResult> {
    const known = this.#jobs.get(command.operation);
    if (known !== undefined) return known.done;
    if (this.#jobs.size >= MAX_JOBS) throw new AppError('RATE_LIMITED', { message: `${MAX_JOBS} transfers are waiting already.` });
    const control = new AbortController();
    const done = this.#run(command, control.signal).finally(() => this.#jobs.delete(command.operation));
    this.#jobs.set(command.operation, { command, control, done });
    return done;
  }

  /** @returns false when there was nothing to end. */
  async cancel(operation: string): Promise<boolean> {
    const job = this.#jobs.get(operation);
    if (job === undefined) return false;
    job.control.abort(new AppError('CANCELLED', { message: 'The transfer was cancelled.' }));
    await job.done.catch(() => undefined); // whoever asked for it is told
    if (job.command.type !== 'pull') await this.#files.forget(job.command);
    return true;
  }

  /** Ends all; the server asks for them again when the device is back. */
  async stop(): Promise<void> {
    const jobs = [...this.#jobs.values()];
    for (const { control } of jobs) control.abort(new AppError('INTERRUPTED', { message: 'The agent stops.' }));
    await Promise.all(jobs.map(({ done }) => done.catch(() => undefined)));
  }

  async #run(command: TransferCommand, signal: AbortSignal): Promise<TransferResult> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      signal.throwIfAborted();
      return await (command.type === 'pull' ? this.#files.send(command, signal) : this.#files.receive(command, signal));
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next(); // takes this one's place
    }
  }
}
