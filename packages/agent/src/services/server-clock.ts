/**
 * The server's time, reckoned from what its answers say and the time since then: a device without a battery begins in 1970, its clock
 * is set while the agent runs, and what it says and does must still be right.
 */
export class ServerClock {
  readonly #clock: () => number;
  readonly #steady: () => number;
  /** The steady clock minus the server's. */
  #aheadMs: number | undefined;
  #learnedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param clock - this machine's, Unix milliseconds; may be set at any time.
   * @param steady - milliseconds that nobody sets, of any beginning.
   */
  constructor(clock: () => number, steady: () => number) {
    this.#clock = clock;
    this.#steady = steady;
  }

  /** The server said that it is this late; it says whole seconds. */
  learn(serverMs: number): void {
    this.#learnedAtMs = this.#steady();
    this.#aheadMs = this.#learnedAtMs - (serverMs + 500);
  }

  /** This machine's clock minus the server's, in whole seconds as milliseconds; undefined before anything is known. */
  get offsetMs(): number | undefined {
    const reckoned = this.#reckoned();
    return reckoned === undefined ? undefined : Math.round((this.#clock() - reckoned) / 1000) * 1000;
  }

  /** The server's time: this machine's clock while they agree to a minute, or nothing is known. */
  now(): number {
    const own = this.#clock();
    const reckoned = this.#reckoned() ?? own;
    return Math.abs(own - reckoned) < 60_000 ? own : reckoned;
  }

  /** Whether it should be asked for again: never learned, or a day ago. */
  get isStale(): boolean {
    return this.#steady() - this.#learnedAtMs > 86_400_000;
  }

  #reckoned(): number | undefined {
    return this.#aheadMs === undefined ? undefined : this.#steady() - this.#aheadMs;
  }
}
