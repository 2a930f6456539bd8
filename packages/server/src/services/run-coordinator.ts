import { AppError, type RunDataset } from '@selvedge/contract';
import { describeError, type Logger, sleep } from '@selvedge/runtime';
import { ACTIVE_LABEL } from '../domain/run-markers.ts';
import { ToolTurns } from '../domain/tool-turns.ts';
import type { Store } from '../ports/store.ts';
import type { DatasetImporter } from './dataset-importer.ts';
import { versionName } from './dataset-service.ts';
import type { EventHub } from './event-hub.ts';
import { LeaseHolder } from './lease-holder.ts';
import type { PackageController } from './package-controller.ts';
import { RunDriver, type RunDriverOptions } from './run-driver.ts';
import type { TriggerController } from './trigger-controller.ts';

/** How often the store is asked for work that nobody announced, in milliseconds. */
const SCAN_MS = 2000;

export interface RunCoordinatorOptions extends Omit<RunDriverOptions, 'importRequest' | 'turns'> {
  store: Store;
  hub: EventHub;
  importer: DatasetImporter;
  packages: PackageController;
  triggers: TriggerController;
  /** Identity of this server, the same after a restart. */
  owner: string;
  log: Logger;
}

/**
 * Finds runs and dataset versions that need work and drives each of them, several at a time; the tools queue.
 *
 * Invariant: at most one driver per run or version in this process, and drivers only while the scheduler's lease is held.
 */
export class RunCoordinator {
  readonly #options: RunCoordinatorOptions;
  readonly #lease: LeaseHolder;
  readonly #driving = new Map<string, Promise<void>>();
  readonly #turns = new ToolTurns();

  constructor(options: RunCoordinatorOptions) {
    this.#options = options;
    const { store, owner, clock, log } = options;
    this.#lease = new LeaseHolder({ store, name: 'scheduler', owner, clock, log, work: (signal) => this.#work(signal) });
  }

  start(): void {
    this.#lease.start();
  }

  /** Lets go of everything; the work itself goes on in the tools and is taken up again after the next start. */
  async stop(): Promise<void> {
    await this.#lease.stop();
  }

  async #work(signal: AbortSignal): Promise<void> {
    let wake = new AbortController();
    const unsubscribe = this.#options.hub.subscribe((event) => {
      if (event.type !== 'resource' || event.action !== 'written') return;
      const { kind, metadata } = event.resource;
      if ((kind === 'Run' || kind === 'DatasetVersion') && metadata.resourceVersion === 1) wake.abort();
    });
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const building = this.#options.packages.work(both);
    const watching = this.#options.triggers.work(both);
    try {
      while (!signal.aborted) {
        await this.#scan(signal);
        await sleep(SCAN_MS, AbortSignal.any([signal, wake.signal])).catch(() => undefined); // woken early or stopped
        if (wake.signal.aborted) wake = new AbortController();
      }
    } finally {
      unsubscribe();
      ended.abort(); // a fault in a round ends both, and both are begun again
      await Promise.all([building, watching, ...this.#driving.values()]);
    }
  }

  async #scan(signal: AbortSignal): Promise<void> {
    const { store, importer } = this.#options;
    for (const name of await importer.pending()) this.#drive(`version ${name}`, signal, () => importer.drive(name, signal));
    const { items } = await store.list('Run', { labels: { [ACTIVE_LABEL]: 'true' } });
    for (const { metadata } of items) {
      const { name } = metadata;
      this.#drive(`run ${name}`, signal, () => {
        const importRequest = (dataset: RunDataset) => this.#importRequest(dataset);
        return new RunDriver(name, { ...this.#options, importRequest, turns: this.#turns }).drive(signal);
      });
    }
  }

  #drive(key: string, signal: AbortSignal, work: () => Promise<void>): void {
    if (this.#driving.has(key)) return;
    const done = work()
      .catch((error: unknown) => {
        if (!signal.aborted)
          this.#options.log.error('work ended with an error; it is taken up again', { work: key, ...describeError(error) });
      })
      .finally(() => this.#driving.delete(key));
    this.#driving.set(key, done);
  }

  async #importRequest({ name, version }: RunDataset) {
    const found = await this.#options.store.get('DatasetVersion', versionName(name, version));
    if (found === undefined) {
      throw new AppError('REFERENCE_MISSING', {
        message: `Dataset version "${versionName(name, version)}" has been removed.`,
        hint: `Add the data again with "selvedge dataset add ${name} --from PATH|URL", then start a new run.`,
      });
    }
    return this.#options.importer.request(found);
  }
}
