import { describeError, type Logger } from '@selvedge/runtime';
import type { SavedWorkload, VersionRecord } from '../domain/agent-state.ts';
import type { WorkloadState } from '../domain/workload-state.ts';

/** What is known of the versions of one workload, and what of it is on disk for the next start of the agent. */
export class WorkloadRecords {
  readonly #onSave: () => Promise<void>;
  readonly #log: Logger;
  readonly #records: Map<string, VersionRecord>;
  #saved: SavedWorkload;

  /** @param onSave - what `saved` is has changed; resolves when it is on disk. */
  constructor(saved: SavedWorkload, onSave: () => Promise<void>, log: Logger) {
    this.#saved = saved;
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

  /**
   * Forgets the versions that are neither on disk nor desired, and saves the rest where it differs from what is saved.
   *
   * @param port - the serving port that is open; null: the one of before stays saved.
   * @param trials - what is to be kept of trials.
   */
  async save(state: WorkloadState, port: number | null, desiredKey: string | null, trials: Partial<SavedWorkload>): Promise<void> {
    const onDisk = state.versions.filter((version) => version.disk !== 'absent').map((version) => version.key);
    const versions = [...this.#records.values()].filter((record) => onDisk.includes(record.key));
    const next = { port: port ?? this.#saved.port, lastServed: state.lastServed, previous: state.previous, versions, ...trials };
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
