import { describeError, type Logger, sleep } from '@selvedge/runtime';
import type { LeaseStore } from '../ports/store.ts';

/** Long against a pause of the process, short against what a user waits for when a server dies for good. */
const LEASE_MS = 10_000;
const RENEW_MS = 3000;

export interface LeaseHolderOptions {
  store: LeaseStore;
  name: string;
  /** The same after a restart of this server, so that it need not wait for its own lease to expire. */
  owner: string;
  clock: () => Date;
  log: Logger;
  /** Work that only the holder may do. It must end soon after the signal aborts. */
  work: (signal: AbortSignal) => Promise<void>;
}

/**
 * Does some work only while it holds a lease, so that of several servers on one store a single one does it.
 *
 * The lease is renewed at a third of its time; when a renewal fails or comes too late, the work is aborted.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  readonly #stopping = new AbortController();
  #done: Promise<void> | undefined;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#done = this.#loop();
  }

  /** Ends the work and gives the lease back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    await this.#options.store.releaseLease(this.#options.name, this.#options.owner);
  }

  async #loop(): Promise<void> {
    const { log, name } = this.#options;
    const stopping = this.#stopping.signal;
    let held: { controller: AbortController; work: Promise<void> } | undefined;
    const release = async () => {
      held?.controller.abort();
      await held?.work;
      held = undefined;
    };
    while (!stopping.aborted) {
      const mine = await this.#acquire();
      if (mine && held === undefined) {
        const controller = new AbortController();
        held = { controller, work: this.#work(controller.signal) };
        log.debug('lease acquired', { lease: name });
      } else if (!mine && held !== undefined) {
        log.warn('lease lost', { lease: name });
        await release();
      }
      await sleep(RENEW_MS, stopping).catch(() => undefined); // aborted: the loop ends by its condition
    }
    await release();
  }

  async #acquire(): Promise<boolean> {
    const { store, name, owner, clock, log } = this.#options;
    const now = clock();
    try {
      return await store.acquireLease(name, owner, now.toISOString(), new Date(now.getTime() + LEASE_MS).toISOString());
    } catch (error) {
      log.error('lease could not be renewed', { lease: name, ...describeError(error) });
      return false;
    }
  }

  /** A fault in one round must not leave the lease held with nobody at work. */
  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#options.work(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.error('leased work failed; it is begun again', { lease: this.#options.name, ...describeError(error) });
        await sleep(RENEW_MS, signal).catch(() => undefined); // aborted: the loop ends by its condition
      }
    }
  }
}
