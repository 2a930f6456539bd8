import type { Readable } from 'node:stream';
import type { OpenedPackage } from '@selvedge/contract';

/** What makes one blob of another one. */
export interface DeltaPatch {
  /** Of the patch itself. */
  sha256: string;
  sizeBytes: number;
  base: string;
  target: string;
  /** Of a patch between native packages: what it gives. */
  opened?: OpenedPackage | undefined;
}

/** What two blobs are: files as they are, or archives of native packages, which are opened before they are compared. */
export type DeltaKind = 'file' | 'package';

/**
 * Patches between blobs, made when they are asked for and kept within a bound. One may be gone at any time; asking makes it anew.
 *
 * Adapters run the suite in delta-store.contract.ts.
 */
export interface DeltaStore {
  /**
   * Makes the patch once, however many ask; one is made at a time. What turned out not to be worth it is remembered.
   *
   * @param maxBytes - largest patch that is worth it. @param kind - default `file`.
   * @returns undefined when it is not, when it cannot be made, or when too many wait already.
   */
  get(base: string, target: string, maxBytes: number, kind?: DeltaKind): Promise<DeltaPatch | undefined>;
  /** The patches with this digest: more than one when the same bytes make different things of different bases. */
  find(sha256: string): readonly DeltaPatch[];
  /** Bytes start..end (inclusive); undefined when it is gone. */
  open(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined>;
}
