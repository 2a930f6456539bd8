import { AppError } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { type CommandBody, type DeviceCommands, deviceOffline } from './device-commands.ts';

type Outcome = Awaited<ReturnType<DeviceCommands['ask']>>;

export interface AskOptions {
  /** For one answer. */
  timeoutMs: number;
  /** How long a device that is not there is waited for. */
  patienceMs: number;
  signal: AbortSignal;
}

/** Before a question is asked again: a way that is lost may say so at once, again and again, as long as nobody has noticed that it is. */
const AGAIN_MS = 100;

/** Questions to devices that may be asked again: a connection that is lost midway costs time, but no answer. */
export class DeviceLink {
  readonly #commands: Pick<DeviceCommands, 'ask'>;
  readonly #ready = new Set<string>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(commands: Pick<DeviceCommands, 'ask'>) {
    this.#commands = commands;
  }

  /** The device has connected and hears what it is told. */
  deviceIsReady(device: string): void {
    this.#ready.add(device);
    for (const wake of [...(this.#waiting.get(device) ?? [])]) wake();
  }

  deviceWentOffline(device: string): void {
    this.#ready.delete(device);
  }

  /** @throws AppError DEVICE_OFFLINE when the patience is over, DEVICE_TIMEOUT likewise, or what the device answered. */
  async ask(device: string, body: CommandBody, { timeoutMs, patienceMs, signal }: AskOptions): Promise<Outcome> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      await this.#whenReady(device, untilMs - performance.now(), signal);
      try {
        return await this.#commands.ask(device, body, { timeoutMs, signal });
      } catch (error) {
        const isLost = error instanceof AppError && (error.code === 'DEVICE_OFFLINE' || error.code === 'DEVICE_TIMEOUT');
        if (!isLost || performance.now() >= untilMs) throw error;
        await sleep(AGAIN_MS, signal);
      }
    }
  }

  async #whenReady(device: string, waitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#ready.has(device)) return;
    if (waitMs <= 0) throw deviceOffline(device);
    const waiters = this.#waiting.get(device) ?? new Set();
    this.#waiting.set(device, waiters);
    await new Promise<void>((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        waiters.delete(wake);
        if (waiters.size === 0) this.#waiting.delete(device);
        signal.removeEventListener('abort', abort);
        finish();
      };
      const wake = () => settle(resolve);
      const abort = () => settle(() => reject(signal.reason));
      const timer = setTimeout(() => settle(() => reject(deviceOffline(device))), waitMs);
      waiters.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
