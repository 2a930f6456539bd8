import { describeError, sleep } from '@selvedge/runtime';
import { isSettled } from '../domain/package-plan.ts';
import type { EventHub } from './event-hub.ts';
import { PackageBuilder, type PackageBuilderOptions } from './package-builder.ts';

/** How often all packages are looked at; between, only those that are announced. */
const RESYNC_MS = 30_000;
const PAGE = 100;

export interface PackageControllerOptions extends PackageBuilderOptions {
  hub: EventHub;
}

/**
 * Finds packages that are not built as they are specified and drives each of them; the build tool queues.
 *
 * Invariant: at most one driver per package in this process.
 */
export class PackageController {
  readonly #options: PackageControllerOptions;
  readonly #driving = new Map<string, Promise<void>>();

  constructor(options: PackageControllerOptions) {
    this.#options = options;
  }

  /** Works until the signal aborts. Only the holder of the scheduler's lease may call it. */
  async work(signal: AbortSignal): Promise<void> {
    const unsubscribe = this.#options.hub.subscribe((event) => {
      if (event.type !== 'resource' || event.action !== 'written' || event.resource.kind !== 'Package') return;
      if (!isSettled(event.resource)) this.#drive(event.resource.metadata.name, signal);
    });
    try {
      while (!signal.aborted) {
        await this.#scan(signal);
        await sleep(RESYNC_MS, signal).catch(() => undefined); // aborted: the loop ends by its condition
      }
    } finally {
      unsubscribe();
      await Promise.all(this.#driving.values());
    }
  }

  async #scan(signal: AbortSignal): Promise<void> {
    for (let after: string | null | undefined; after !== null && !signal.aborted; ) {
      const page = await this.#options.store.list('Package', { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const one of page.items) if (!isSettled(one)) this.#drive(one.metadata.name, signal);
      after = page.next;
    }
  }

  #drive(name: string, signal: AbortSignal): void {
    if (this.#driving.has(name) || signal.aborted) return;
    const done = new PackageBuilder(name, this.#options)
      .drive(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#options.log.error('a build ended with an error', { package: name, ...describeError(error) });
      })
      .finally(() => this.#driving.delete(name));
    this.#driving.set(name, done);
  }
}
