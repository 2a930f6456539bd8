import { describeError, type Logger } from '@selvedge/runtime';

export interface IdentityRenewalOptions {
  /** When a new certificate is due; Unix milliseconds. */
  dueMs: () => Promise<number>;
  renew: (signal: AbortSignal) => Promise<void>;
  clock: () => number;
  log: Logger;
}

const LOOK_EVERY_MS = 6 * 3600_000;
const RETRY_MS = 3600_000;
/** Failing connections may be due to an expired certificate; then it is looked at more often, but not at each of them. */
const LEAST_MS = 60_000;

/** Renews the device's certificate when a third of its life is left. The next connection uses the new one. */
export class IdentityRenewal {
  readonly #options: IdentityRenewalOptions;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #lastTryMs = Number.NEGATIVE_INFINITY;

  constructor(options: IdentityRenewalOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#look();
  }

  /** The connection was lost or refused. */
  disconnected(): void {
    if (this.#options.clock() - this.#lastTryMs >= LEAST_MS) void this.#look();
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#busy || this.#abort.signal.aborted) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    let nextMs = LOOK_EVERY_MS;
    try {
      if ((await this.#options.dueMs()) <= this.#options.clock()) {
        this.#lastTryMs = this.#options.clock();
        await this.#options.renew(this.#abort.signal);
        this.#options.log.info('the certificate was renewed');
      }
    } catch (error) {
      nextMs = RETRY_MS;
      if (!this.#abort.signal.aborted)
        this.#options.log.warn('the certificate could not be renewed; trying again later', describeError(error));
    }
    this.#busy = false;
    if (this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#look(), nextMs);
    this.#timer.unref();
  }
}
