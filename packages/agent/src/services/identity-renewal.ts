import { describeError, type Logger } from '@selvedge/runtime';

export interface IdentityRenewalOptions {
  /** When a new certificate is due; Unix milliseconds of the server's time. */
  dueMs: () => Promise<number>;
  /** @param mode - `refresh`: which authorities are trusted is asked first, and nothing more is done when all is as it should be. */
  renew: (mode: 'renew' | 'refresh', signal: AbortSignal) => Promise<void>;
  /** The server's time. */
  clock: () => number;
  /** Called after each; the next connection uses what is new. */
  onRenewed: () => void;
  log: Logger;
}

const LOOK_EVERY_MS = 6 * 3600_000;
const RETRY_MS = 3600_000;
/** When the server is not reached, the certificate need not be looked at earlier. */
const FIRST_LOOK_MS = 60_000;
/** A refusal may be due to an expired certificate; then it is renewed, but not at each of them. */
const LEAST_MS = 60_000;
const LEAST_DOUBT_MS = 10_000;

/**
 * Renews the device's key and certificate when half of the certificate's life is over. It is first looked at when the server
 * was reached, because only then the time is known for sure.
 */
export class IdentityRenewal {
  readonly #options: IdentityRenewalOptions;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #lastDoubtMs = Number.NEGATIVE_INFINITY;

  constructor(options: IdentityRenewalOptions) {
    this.#options = options;
  }

  start(): void {
    this.#lookAfter(FIRST_LOOK_MS);
  }

  /** The server was reached. */
  connected(): void {
    void this.#look(false);
  }

  /** The server does not accept the certificate: whatever this machine believes, it may have expired. */
  refused(): void {
    if (Math.abs(this.#options.clock() - this.#lastTryMs) >= LEAST_MS) void this.#look(true);
  }

  /** What the server says of where and whom to trust may be outdated. */
  doubt(): void {
    if (Math.abs(this.#options.clock() - this.#lastDoubtMs) < LEAST_DOUBT_MS) return;
    this.#lastDoubtMs = this.#options.clock();
    this.refresh().catch((error: unknown) => this.#options.log.debug('the server could not be asked whom to trust', describeError(error)));
  }

  /** The server asked for it. @throws what `renew` throws. */
  async refresh(): Promise<void> {
    await this.#options.renew('refresh', this.#abort.signal);
    this.#options.onRenewed();
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  async #look(isRefused: boolean): Promise<void> {
    if (this.#busy || this.#abort.signal.aborted) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    let nextMs = LOOK_EVERY_MS;
    try {
      if (isRefused || (await this.#options.dueMs()) <= this.#options.clock()) {
        this.#lastTryMs = this.#options.clock();
        await this.#options.renew('renew', this.#abort.signal);
        this.#options.log.info('the certificate was renewed');
        this.#options.onRenewed();
      }
    } catch (error) {
      nextMs = RETRY_MS;
      if (!this.#abort.signal.aborted)
        this.#options.log.warn('the certificate could not be renewed; trying again later', describeError(error));
    }
    this.#busy = false;
    if (!this.#abort.signal.aborted) this.#lookAfter(nextMs);
  }

  #lookAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(false), ms);
    this.#timer.unref();
  }
}
