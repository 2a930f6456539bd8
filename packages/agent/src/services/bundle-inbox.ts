import type { DesiredState, TakenNumbers, WorkloadReport } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { type BundleMemory, type BundleOrder, needsContent } from '../domain/bundle-order.ts';

export interface BundleInboxOptions {
  /** Bundles that were taken and not yet removed, the lowest revision first. */
  orders: () => Promise<BundleOrder[]>;
  memory: () => Promise<BundleMemory>;
  remove: (id: string) => Promise<void>;
  /** Calls back when something in the folder changes, as far as the system tells. @returns ends that. */
  watch: (onChange: () => void) => () => void;
  /** Hands over a desired state. It is on disk when this resolves. */
  apply: (desired: DesiredState) => Promise<void>;
  /** Records that the server has need not be kept. */
  acknowledge: (taken: TakenNumbers) => Promise<void>;
  /** What could not be fetched may be there now. */
  arrived: () => void;
  /** Hands over telemetry when it is asked for. */
  answer: () => Promise<void>;
  observedRevision: () => number;
  reports: () => WorkloadReport[];
  log: Logger;
}

/** Where the system tells of no changes, e.g. on some network file systems. */
const LOOK_MS = 30_000;
/** Changes that come together are looked at together. */
const SETTLE_MS = 100;

/**
 * Hands over what `apply-bundle` has put down, and removes it when it is no longer needed. Looking twice does no harm: a
 * desired state that is known already changes nothing.
 */
export class BundleInbox {
  readonly #options: BundleInboxOptions;
  #interval: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Whether there is something whose end has to be seen. */
  #pending = false;
  #stopped = false;
  readonly #seen = new Set<string>();

  constructor(options: BundleInboxOptions) {
    this.#options = options;
  }

  /** Returns when what was put down before is handed over: so a device that starts serves the newest at once. */
  async start(): Promise<void> {
    this.#unwatch = this.#options.watch(() => this.#soon());
    this.#interval = setInterval(() => this.#soon(), LOOK_MS);
    await this.#look();
  }

  /** What the device serves may have changed. Cheap. */
  changed(): void {
    if (this.#pending) this.#soon();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#interval);
    clearTimeout(this.#timer);
    this.#unwatch?.();
    await this.#looking;
  }

  #soon(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#looking = this.#looking.then(() => this.#look());
    }, SETTLE_MS);
  }

  async #look(): Promise<void> {
    const { log } = this.#options;
    try {
      await this.#options.answer();
      const orders = await this.#options.orders();
      this.#pending = orders.length > 0;
      if (!this.#pending) return;
      const { revokedBundles } = await this.#options.memory();
      for (const order of orders) await this.#handle(order, revokedBundles);
    } catch (error) {
      log.warn('the bundles could not be looked at', describeError(error));
    }
  }

  async #handle(order: BundleOrder, revoked: readonly string[]): Promise<void> {
    const { apply, acknowledge, arrived, observedRevision, reports, remove, log } = this.#options;
    const { id, desired } = order;
    const isNew = desired.revision > observedRevision();
    if (isNew && revoked.includes(id)) {
      log.warn('a bundle was revoked before it was taken up', { bundle: id });
      return remove(id);
    }
    if (isNew) {
      log.info('taking up a bundle', { bundle: id, revision: desired.revision });
      await apply(desired);
    }
    if (!this.#seen.has(id)) {
      for (const numbers of order.taken ?? []) await acknowledge(numbers);
      arrived();
    }
    this.#seen.add(id);
    if (needsContent(order, observedRevision(), reports())) return;
    await remove(id);
    this.#seen.delete(id);
    log.info('the content of a bundle is no longer needed', { bundle: id });
  }
}
