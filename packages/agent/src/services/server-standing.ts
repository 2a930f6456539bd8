import type { AppError } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { ServerClock } from './server-clock.ts';

export interface ServerStandingOptions {
  /** Why the server does not accept this device; undefined when it does. Also learns the server's time. */
  ask: (signal: AbortSignal) => Promise<AppError | undefined>;
  serverClock: ServerClock;
  /** The certificate is not accepted, although the device was not removed. */
  onNotAccepted: () => void;
  /** The device is accepted, and yet not let in where it tried: MQTT may be spoken elsewhere by now. */
  onMoved: () => void;
  /** The server's time is known, or could not be learned. */
  onTimeKnown: () => void;
  /** Keeps why the server refuses this device for `agent status`; undefined when it does not. */
  keep: (refusal: { code: string; message: string } | undefined) => Promise<void>;
  log: Logger;
}

/** A removed device asks so seldom: only another join, by a person, can change it. */
const REMOVED_DELAY_MS = 3600_000;

/** How this device stands with its server: accepted, refused, or removed. What it serves does not depend on that. */
export class ServerStanding {
  readonly #options: ServerStandingOptions;
  readonly #abort = new AbortController();
  #kept: string | undefined;

  constructor(options: ServerStandingOptions) {
    this.#options = options;
  }

  /** The channel has connected. */
  async connected(): Promise<void> {
    const { serverClock, ask, onTimeKnown, log } = this.#options;
    await this.#keep(undefined);
    if (serverClock.isStale) {
      try {
        await ask(this.#abort.signal);
      } catch (error) {
        log.debug('the time of the server could not be learned', describeError(error));
      }
    }
    if (!this.#abort.signal.aborted) onTimeKnown();
  }

  /** The server has refused the channel. @returns how long to leave it alone at least, in milliseconds. */
  async refused(): Promise<number> {
    const { ask, log, onNotAccepted, onMoved } = this.#options;
    let refusal: AppError | undefined;
    try {
      refusal = await ask(this.#abort.signal);
      if (refusal === undefined && !this.#abort.signal.aborted) onMoved();
    } catch (error) {
      log.debug('the server could not be asked why it refuses this device', describeError(error));
    }
    if (refusal === undefined || this.#abort.signal.aborted) return 0;
    const removed = refusal.code === 'DEVICE_REVOKED';
    if (removed)
      log.error('this device was removed from its server; it goes on serving what it has, and needs a new join to be managed again', {
        code: refusal.code,
        reason: refusal.message,
      });
    else {
      log.warn('the server does not accept the certificate of this device', { code: refusal.code, reason: refusal.message });
      onNotAccepted();
    }
    await this.#keep({ code: refusal.code, message: refusal.message });
    return removed ? REMOVED_DELAY_MS : 0;
  }

  stop(): void {
    this.#abort.abort();
  }

  async #keep(refusal: { code: string; message: string } | undefined): Promise<void> {
    const text = JSON.stringify(refusal ?? null);
    if (text === this.#kept) return;
    this.#kept = text;
    try {
      await this.#options.keep(refusal);
    } catch (error) {
      this.#options.log.warn('the refusal could not be kept on disk', describeError(error));
    }
  }
}
