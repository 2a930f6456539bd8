interface Waiting<T> {
  readonly change: (value: T) => T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Changes of one stored value, applied in the order of the calls. Those that come while an earlier write waits for its turn go into
 * that same write: a device that connects says three things at once, and ten thousand do so when the server is back.
 */
export class CoalescedWrites<T> {
  readonly #write: (change: (value: T) => T) => Promise<void>;
  readonly #waiting: Waiting<T>[] = [];
  #running = false;
  /** How many of the first ones are written one by one, because together they failed. */
  #alone = 0;

  /**
   * @param write - applies the change to the value as it is stored and stores it; it may call the change several times, of which the
   *   last counts, or not at all when there is no such value any more.
   */
  constructor(write: (change: (value: T) => T) => Promise<void>) {
    this.#write = write;
  }

  /**
   * @param change - pure, as it may be called more than once.
   * @param withinMs - it may wait so long for one that comes after it.
   * @returns when it is stored. Rejects as `write` does, for this change alone.
   */
  add(change: (value: T) => T, withinMs = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      if (withinMs > 0) setTimeout(() => this.#begin(), withinMs);
      else this.#begin();
    });
  }

  #begin(): void {
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) await this.#writeSome();
    this.#running = false;
  }

  async #writeSome(): Promise<void> {
    const most = this.#alone > 0 ? 1 : Number.POSITIVE_INFINITY;
    let taken = Math.min(this.#waiting.length, most);
    try {
      await this.#write((value) => {
        taken = Math.min(this.#waiting.length, most);
        return this.#waiting.slice(0, taken).reduce((changed, { change }) => change(changed), value);
      });
      for (const { resolve } of this.#waiting.splice(0, taken)) resolve();
    } catch (error) {
      if (taken > 1) {
        this.#alone = taken;
        return;
      }
      for (const { reject } of this.#waiting.splice(0, taken)) reject(error);
    }
    this.#alone = Math.max(0, this.#alone - 1);
  }
}
