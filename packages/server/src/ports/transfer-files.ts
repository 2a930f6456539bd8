import type { Readable } from 'node:stream';
import type { BlobInfo, BlobStore } from './blob-store.ts';

/**
 * Content of transfers, apart from the blobs that everything else is made of: what only transfers need can be removed without
 * asking anybody. Content is visible under its digest only whole and verified; what has come in of it stays over a restart.
 */
export interface TransferFiles extends Pick<BlobStore, 'stat' | 'open'> {
  /** How much has come in under a key; 0 for one that is not known. */
  receivedBytes(key: string): Promise<number>;
  /**
   * Appends to what has come in. A later call for the same key ends an earlier one: the sender has lost that connection.
   *
   * @param options.offset - must be what has come in so far.
   * @param options.onProgress - told the bytes that have come in.
   * @returns how much has come in, also when the sender broke off.
   * @throws AppError CONFLICT (user) for another offset, PAYLOAD_TOO_LARGE beyond `sizeBytes`, DISK_FULL.
   */
  receive(
    key: string,
    content: Readable,
    options: { offset: number; sizeBytes: number; onProgress?: ((receivedBytes: number) => void) | undefined },
  ): Promise<number>;
  /**
   * Makes content of what has come in under a key.
   * @throws AppError DIGEST_MISMATCH when it is not this; it is thrown away then.
   */
  finish(key: string, expected: BlobInfo): Promise<void>;
  /** Forgets what has come in under a key. */
  discard(key: string): Promise<void>;
  /** Marks content as used now, so that it is not swept before an operation needs it. */
  touch(sha256: string): Promise<void>;
  /** Removes content that is not needed and parts that have stopped to grow, both untouched since `before`. @returns how many. */
  sweep(isNeeded: (sha256: string) => boolean, before: Date): Promise<number>;
}
