import { randomUUID } from 'node:crypto';
import { AppError, type Command, DEVICE_CHANNEL_VERSION, isErrorCode, type Reply } from '@selvedge/contract';
import type { PublishToDevice } from './deployment-controller.ts';

type Outcome = Extract<Reply['outcome'], { ok: true }>;
type WithoutHead<C> = C extends Command ? Omit<C, 'v' | 'id' | 'expiresAt'> : never;
/** A command without what this service adds. */
export type CommandBody = WithoutHead<Command>;

export interface DeviceCommandsOptions {
  publish: PublishToDevice;
  clock: () => Date;
}

const MAX_PENDING = 1_000;

interface Pending {
  device: string;
  settle(outcome: Outcome | AppError): void;
}

/** Commands to devices over the device channel, each answered by one reply. */
export class DeviceCommands {
  readonly #options: DeviceCommandsOptions;
  readonly #pending = new Map<string, Pending>();

  constructor(options: DeviceCommandsOptions) {
    this.#options = options;
  }

  /**
   * Sends a command and waits for its reply.
   *
   * @throws AppError RATE_LIMITED, DEVICE_OFFLINE, DEVICE_TIMEOUT, INTERRUPTED (the signal), or what the device answered.
   */
  ask(device: string, body: CommandBody, options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<Outcome> {
    const { clock, publish } = this.#options;
    const { timeoutMs, signal } = options;
    if (signal?.aborted === true) return Promise.reject(interrupted());
    if (this.#pending.size >= MAX_PENDING)
      return Promise.reject(new AppError('RATE_LIMITED', { message: `${MAX_PENDING} commands are waiting for devices already.` }));
    const expiresAt = new Date(clock().getTime() + timeoutMs).toISOString();
    const command: Command = { v: DEVICE_CHANNEL_VERSION, id: randomUUID(), expiresAt, ...body };
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome | AppError) => {
        if (!this.#pending.delete(command.id)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (outcome instanceof AppError) reject(outcome);
        else resolve(outcome);
      };
      const abort = () => settle(interrupted());
      const timer = setTimeout(() => {
        const message = `Device "${device}" did not answer within ${timeoutMs / 1000} s.`;
        settle(new AppError('DEVICE_TIMEOUT', { message, data: { device } }));
      }, timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending.set(command.id, { device, settle });
      publish(device, 'commands', JSON.stringify(command), { retain: false }).catch((cause: unknown) => {
        settle(new AppError('DEVICE_OFFLINE', { message: `Device "${device}" could not be reached.` }, { cause }));
      });
    });
  }

  /** A reply that nobody waits for, or that comes from another device than was asked, is dropped. */
  takeReply(device: string, reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined || pending.device !== device) return;
    const { outcome } = reply;
    pending.settle(outcome.ok ? outcome : deviceError(device, outcome.error));
  }

  /** Whoever waits for this device need not wait any longer. */
  deviceWentOffline(device: string): void {
    for (const pending of this.#pending.values()) if (pending.device === device) pending.settle(deviceOffline(device));
  }
}

/** What the device says went wrong; a code that this version does not know counts as a failed workload. */
function deviceError(device: string, { code, message }: { code: string; message: string }): AppError {
  return new AppError(isErrorCode(code) ? code : 'WORKLOAD_FAILED', { message, data: { device } });
}

export function deviceOffline(device: string): AppError {
  return new AppError('DEVICE_OFFLINE', {
    message: `Device "${device}" is not connected.`,
    hint: `"selvedge device show ${device}" tells since when; its agent connects again by itself once it runs.`,
    data: { device },
  });
}

/** A reply to another question than was asked. */
export function unexpectedReply(device: string): AppError {
  return new AppError('WORKLOAD_FAILED', { message: `Device "${device}" answered something else than was asked.`, data: { device } });
}

function interrupted(): AppError {
  return new AppError('INTERRUPTED', { message: 'The caller gave up.' });
}
