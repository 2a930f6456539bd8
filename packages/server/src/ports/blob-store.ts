import type { Readable } from 'node:stream';

export interface BlobInfo {
  sha256: string;
  sizeBytes: number;
}

/**
 * Content-addressed, immutable files. A blob exists only whole and verified: what a crash or a full disk leaves behind
 * is never visible under a digest.
 *
 * Adapters run the suite in blob-store.contract.ts.
 */
export interface BlobStore {
  /**
   * Streams to disk while hashing; idempotent.
   * @throws AppError DIGEST_MISMATCH when `expected` differs; DISK_FULL; PAYLOAD_TOO_LARGE beyond `maxBytes`. Nothing is left.
   */
  put(content: Readable, options?: { expectedSha256?: string; maxBytes?: number; signal?: AbortSignal }): Promise<BlobInfo>;
  stat(sha256: string): Promise<BlobInfo | undefined>;
  /** Bytes start..end (inclusive); undefined when there is no such blob. */
  open(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined>;
  delete(sha256: string): Promise<boolean>;
}
