import { toAppError } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type { ServingPort } from '../ports/serving-port.ts';

/** Which port a workload is served on: the desired one; for 0 one that is picked once and kept. */
export class WorkloadAddress {
  readonly #port: ServingPort;
  readonly #log: Logger;
  #open: number | null = null;

  constructor(port: ServingPort, log: Logger) {
    this.#port = port;
    this.#log = log;
  }

  /** The port that is open now. */
  get open(): number | null {
    return this.#open;
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
    if (wanted !== 0 || known === null) {
      this.#open = await this.#port.open(wanted);
      return;
    }
    try {
      this.#open = await this.#port.open(known);
    } catch (error) {
      this.#log.warn('the port that was picked before is taken; another one is picked', { port: known, error: toAppError(error).message });
      this.#open = await this.#port.open(0);
    }
  }

  /**
   * Follows a change of the desired port; the old one stays open until the new one is.
   *
   * @returns whether the port changed.
   * @throws AppError PORT_IN_USE (user); the old one stays.
   */
  async move(wanted: number): Promise<boolean> {
    if (this.#open === null || wanted === 0 || wanted === this.#open) return false;
    this.#open = await this.#port.open(wanted);
    return true;
  }

  async close(): Promise<void> {
    this.#open = null;
    await this.#port.close();
  }
}
