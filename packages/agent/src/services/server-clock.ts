/**
 * The server's time, reckoned from this machine's clock and the difference that the server's answers show: a device without a
 * battery begins in 1970, and what it says and does must still be right.
 */
export class ServerClock {
  readonly #clock: () => number;
  #offsetMs: number | undefined;
  #learnedAtMs = Number.NEGATIVE_INFINITY;

  /** @param clock - this machine's, Unix milliseconds. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The server said that it is this late; it says whole seconds. */
  learn(serverMs: number): void {
    const now = this.#clock();
    this.#offsetMs = now - (serverMs + 500);
    this.#learnedAtMs = now;
  }

  /** This machine's clock minus the server's, in whole seconds as milliseconds; undefined before anything is known. */
  get offsetMs(): number | undefined {
    return this.#offsetMs === undefined ? undefined : Math.round(this.#offsetMs / 1000) * 1000;
  }

  /** The server's time. */
  now(): number {
    return this.toServerTime(this.#clock());
  }

  /** What the server's clock shows when this machine's shows this: the same while they agree to a minute, or nothing is known. */
  toServerTime(ms: number): number {
    const offset = this.#offsetMs ?? 0;
    return Math.abs(offset) < 60_000 ? ms : ms - offset;
  }

  /** Whether it should be asked for again: never learned, a day ago, or this machine's clock was set back. */
  get isStale(): boolean {
    const age = this.#clock() - this.#learnedAtMs;
    return age < 0 || age > 86_400_000;
  }
}
