import { setImmediate } from 'node:timers/promises';

const TURN_MS = 10;
/**
 * Files up to this are read and written in calls that block: for thousands of small ones the way through the thread pool, five times
 * for each, costs ten times what is done there.
 */
export const SMALL_FILE_BYTES = 64 * 1024;

/** Lets everything else have its turn every 10 ms, between calls that block for a moment each. */
export class Turns {
  #sinceMs = performance.now();

  async give(): Promise<void> {
    if (performance.now() - this.#sinceMs < TURN_MS) return;
    await setImmediate();
    this.#sinceMs = performance.now();
  }
}
