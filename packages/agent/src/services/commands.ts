import {
  AppError,
  type Command,
  commandSchema,
  DEVICE_CHANNEL_VERSION,
  isRemoteCommand,
  MAX_INFER_BODY_BYTES,
  type NativeBench,
  type RemoteCommand,
  type Reply,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import * as z from 'zod';
import type { DeviceChannel } from '../ports/device-channel.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import type { FileTransfers } from './file-transfers.ts';
import type { BenchCommand } from './package-bench.ts';

export interface CommandsOptions {
  channel: DeviceChannel;
  has: (workload: string) => boolean;
  serving: (workload: string) => ModelProcess | undefined;
  /** Measures a native package. */
  bench: (command: BenchCommand) => Promise<NativeBench>;
  /** Renews what this device knows of its server and its own certificate. */
  refreshIdentity: () => Promise<void>;
  /** Loads what moves files. */
  transfers: () => Promise<Pick<FileTransfers, 'transfer' | 'cancel'>>;
  /** Programs, shells, logs, restarts; its code is loaded when the first of them comes. */
  remote: (command: RemoteCommand) => Promise<Outcome>;
  /** The server's time. */
  clock: () => number;
  log: Logger;
}

type Outcome = Extract<Reply['outcome'], { ok: true }>;
type InferCommand = Extract<Command, { type: 'infer' }>;

const MAX_AT_ONCE = 16;
/** Those that wait for output or lines cost next to nothing. */
const MAX_REMOTE_AT_ONCE = 64;
const REMEMBERED_IDS = 256;
/** Enough of a command that is not understood to answer it. */
const addressedSchema = z.object({ id: z.string().min(1).max(64) });

/** Executes the commands of the server and answers each once, also when it is delivered twice. */
export class Commands {
  readonly #options: CommandsOptions;
  readonly #seen = new Set<string>();
  #running = 0;
  #remoteRunning = 0;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** @param payload - JSON as it came from the channel. */
  async execute(payload: unknown): Promise<void> {
    const addressed = addressedSchema.safeParse(payload);
    if (!addressed.success) {
      this.#options.log.warn('a command without an id was ignored');
      return;
    }
    const { id } = addressed.data;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED_IDS) for (const oldest of [...this.#seen].slice(0, 1)) this.#seen.delete(oldest);
    const outcome = await this.#outcome(payload);
    if (outcome === undefined) return;
    try {
      await this.#options.channel.publish('replies', { v: DEVICE_CHANNEL_VERSION, id, outcome });
    } catch (error) {
      this.#options.log.warn('a reply was not sent', { id, ...describeError(error) });
    }
  }

  /** undefined: the command came too late, nobody waits for a reply. */
  async #outcome(payload: unknown): Promise<Reply['outcome'] | undefined> {
    try {
      const command = commandSchema.safeParse(payload);
      if (!command.success) throw new AppError('INPUT_INVALID', { message: 'This agent does not know that command.' });
      const { expiresAt } = command.data;
      if (Date.parse(expiresAt) < this.#options.clock()) {
        this.#options.log.warn('a command that came too late was dropped', { id: command.data.id, expiresAt });
        return undefined;
      }
      if (isRemoteCommand(command.data)) return await this.#remote(command.data);
      return await this.#execute(command.data);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'INTERRUPTED') return undefined; // the agent stops; the server asks again when it is back
      if (error.kind === 'bug') this.#options.log.error('a command failed', describeError(error));
      return { ok: false, error: { code: error.code, message: error.message.slice(0, 4096) } };
    }
  }

  async #execute(command: Exclude<Command, RemoteCommand>): Promise<Reply['outcome']> {
    switch (command.type) {
      // Transfers take long and have a bound of their own.
      case 'push':
      case 'push-folder':
      case 'pull':
        return { ok: true, transfer: await (await this.#options.transfers()).transfer(command) };
      case 'cancel':
        return { ok: true, cancelled: await (await this.#options.transfers()).cancel(command.operation) };
      case 'infer':
        return this.#bounded(async () => ({ ok: true, infer: await this.#infer(command) }));
      case 'bench':
        return this.#bounded(async () => ({ ok: true, bench: await this.#options.bench(command) }));
      case 'refresh-identity':
        return this.#bounded(async () => {
          await this.#options.refreshIdentity();
          return { ok: true, refreshed: true };
        });
    }
  }

  async #bounded(work: () => Promise<Reply['outcome']>): Promise<Reply['outcome']> {
    if (this.#running >= MAX_AT_ONCE) throw tooMany();
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }

  async #remote(command: RemoteCommand): Promise<Outcome> {
    if (this.#remoteRunning >= MAX_REMOTE_AT_ONCE) throw tooMany();
    this.#remoteRunning += 1;
    try {
      return await this.#options.remote(command);
    } finally {
      this.#remoteRunning -= 1;
    }
  }

  async #infer({ workload, contentType, bodyBase64 }: InferCommand) {
    const body = Buffer.from(bodyBase64, 'base64');
    if (body.length > MAX_INFER_BODY_BYTES)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: `A body may have ${MAX_INFER_BODY_BYTES} bytes.` });
    const target = this.#options.serving(workload);
    if (target === undefined) {
      const why = this.#options.has(workload) ? 'is not serving now' : 'is not on this device';
      throw new AppError('WORKLOAD_NOT_SERVING', { message: `The workload "${workload}" ${why}.` });
    }
    return target.infer(contentType, body);
  }
}

function tooMany(): AppError {
  return new AppError('RATE_LIMITED', { message: 'The device has too many requests under way.' });
}
