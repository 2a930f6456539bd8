import type { TransferCounts } from '@selvedge/contract';
import type { VersionRecord } from '../domain/agent-state.ts';

/** The versions of workloads on disk, side by side. A version has its folder only when every file of it has arrived whole. */
export interface VersionStore {
  /** Where the files of a version are. */
  folder(workload: string, key: string): string;
  /** Keys of the versions that have their folder. */
  list(workload: string): Promise<string[]>;
  /**
   * Fetches what is missing; resumes what a cut or a restart left.
   * @returns what it cost, also in earlier tries; undefined when the version was there.
   * @throws AppError DIGEST_MISMATCH, DISK_FULL, DOWNLOAD_FAILED, SERVER_UNREACHABLE, NOT_FOUND, FORBIDDEN (operational or
   *   user); INPUT_INVALID when the manifest is not a valid one or belongs to another model.
   */
  fetch(
    workload: string,
    record: VersionRecord,
    onProgress: (doneBytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<TransferCounts | undefined>;
  /**
   * Hashes every file again.
   * @throws AppError DIGEST_MISMATCH (operational) when a byte differs from what was ordered.
   */
  verify(workload: string, record: VersionRecord, signal: AbortSignal): Promise<void>;
  /** Removes one version; nothing happens when there is none. */
  collect(workload: string, key: string): Promise<void>;
  /** Removes everything of this workload except these versions, complete or in part. */
  sweep(workload: string, keep: readonly string[]): Promise<void>;
}
