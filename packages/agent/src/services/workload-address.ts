import { toAppError } from '@selvedge/contract';
import { type Backoff, backoffDelayMs, type Logger } from '@selvedge/runtime';
import type { ServingPort } from '../ports/serving-port.ts';

export interface WorkloadAddressOptions {
  port: ServingPort;
  log: Logger;
  /** Milliseconds that nobody sets. */
  clock: () => number;
  /** What time it is, Unix milliseconds. */
  time: () => number;
  /** Delays between tries of a desired port that is taken. */
  backoff: Backoff;
}

/** Why the workload is not served on its desired port yet, though it is served on another. */
export interface AddressFault {
  code: string;
  message: string;
  /** ISO 8601. */
  at: string;
}

interface Refusal {
  wanted: number;
  attempts: number;
  retryAtMs: number;
  fault: AddressFault;
}

/** Which port a workload is served on: the desired one; for 0 one that is picked once and kept. */
export class WorkloadAddress {
  readonly #options: WorkloadAddressOptions;
  #open: number | null = null;
  #refusal: Refusal | null = null;

  constructor(options: WorkloadAddressOptions) {
    this.#options = options;
  }

  /** The port that is open now. */
  get open(): number | null {
    return this.#open;
  }

  get fault(): AddressFault | null {
    return this.#refusal?.fault ?? null;
  }

  /** When `move` is to be called again because the desired port was taken, by `clock`. */
  get retryAtMs(): number | undefined {
    return this.#refusal?.retryAtMs;
  }

  /**
   * Opens the port unless one is open.
   *
   * @param wanted - 0: the known one, or another when a process has taken that.
   * @param known - the port of before a restart.
   * @throws AppError PORT_IN_USE (user).
   */
  async ensure(wanted: number, known: number | null): Promise<void> {
    if (this.#open !== null) return;
    const { port, log } = this.#options;
    if (wanted !== 0 || known === null) {
      this.#open = await port.open(wanted);
      return;
    }
    try {
      this.#open = await port.open(known);
    } catch (error) {
      log.warn('the port that was picked before is taken; another one is picked', { port: known, error: toAppError(error).message });
      this.#open = await port.open(0);
    }
  }

  /**
   * Follows a change of the desired port; the old one stays open until the new one is. A port that is taken is `fault`
   * until it is free: this tries it again when `retryAtMs` is over, and at once when another one is desired.
   *
   * @returns whether the open port or the fault changed.
   */
  async move(wanted: number): Promise<boolean> {
    const { port, log, clock, time, backoff } = this.#options;
    const before = this.#refusal;
    if (this.#open === null || wanted === 0 || wanted === this.#open) {
      this.#refusal = null;
      return before !== null;
    }
    const known = before?.wanted === wanted ? before : null;
    if (known !== null && clock() < known.retryAtMs) return false;
    try {
      this.#open = await port.open(wanted);
      this.#refusal = null;
    } catch (error) {
      const { code, message } = toAppError(error);
      const attempts = (known?.attempts ?? 0) + 1;
      const delayMs = backoffDelayMs(attempts, backoff);
      const fault = known?.fault ?? { code, message, at: new Date(time()).toISOString() };
      this.#refusal = { wanted, attempts, retryAtMs: clock() + delayMs, fault };
      log.warn('the serving port could not be changed', { port: wanted, code, error: message, retryInMs: Math.round(delayMs) });
      return known === null;
    }
    return true;
  }

  async close(): Promise<void> {
    this.#open = null;
    this.#refusal = null;
    await this.#options.port.close();
  }
}
