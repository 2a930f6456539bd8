import type { TransferCounts } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { SavedWorkload, VersionRecord } from '../domain/agent-state.ts';
import type { WorkloadState } from '../domain/workload-state.ts';

/** What is known of the versions of one workload, and what of it is on disk for the next start of the agent. */
export class WorkloadRecords {
  readonly #onSave: () => Promise<void>;
  readonly #log: Logger;
  readonly #records: Map<string, VersionRecord>;
  #saved: SavedWorkload;
  #transfer: SavedWorkload['transfer'];

  /** @param onSave - what `saved` is has changed; resolves when it is on disk. */
  constructor(saved: SavedWorkload, onSave: () => Promise<void>, log: Logger) {
    this.#saved = saved;
    this.#transfer = saved.transfer;
    this.#onSave = onSave;
    this.#log = log;
    this.#records = new Map(saved.versions.map((record) => [record.key, record]));
  }

  get saved(): SavedWorkload {
    return this.#saved;
  }

  get all(): ReadonlyMap<string, VersionRecord> {
    return this.#records;
  }

  set(record: VersionRecord): void {
    this.#records.set(record.key, record);
  }

  /** A version has come, at this cost. */
  fetched(key: string, cost: TransferCounts): void {
    this.#transfer = { key, ...cost };
  }

  /** What a version cost; undefined when it was there before it was desired. */
  transferOf(key: string | null): TransferCounts | undefined {
    if (this.#transfer === undefined || this.#transfer.key !== key) return undefined;
    const { key: _, ...cost } = this.#transfer;
    return cost;
  }

  /**
   * Forgets the versions that are neither on disk nor desired, and saves the rest where it differs from what is saved.
   *
   * @param port - the serving port that is open; null: the one of before stays saved.
   * @param trials - what is to be kept of trials.
   */
  async save(state: WorkloadState, port: number | null, desiredKey: string | null, trials: Partial<SavedWorkload>): Promise<void> {
    const onDisk = state.versions.filter((version) => version.disk !== 'absent').map((version) => version.key);
    const versions = [...this.#records.values()].filter((record) => onDisk.includes(record.key));
    // Another version is desired now: should this one come back, it is there already.
    if (desiredKey !== null && this.#transfer?.key !== desiredKey) this.#transfer = undefined;
    const transfer = this.#transfer === undefined ? {} : { transfer: this.#transfer };
    const { lastServed, previous } = state;
    const next = { port: port ?? this.#saved.port, lastServed, previous, versions, ...trials, ...transfer };
    for (const key of this.#records.keys()) if (!onDisk.includes(key) && key !== desiredKey) this.#records.delete(key);
    const before = this.#saved;
    if (JSON.stringify(next) === JSON.stringify(before)) return;
    this.#saved = next;
    try {
      await this.#onSave();
    } catch (error) {
      // What serves goes on serving; the next save writes this too.
      this.#saved = before;
      this.#log.error('the state could not be saved', describeError(error));
    }
  }
}
