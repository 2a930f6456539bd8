import type { ResultSummary, SpoolStanding, TelemetrySample } from '@selvedge/contract';

/** What is kept to be sent. Times are those of this machine's clock. */
export type SpoolEntry = { kind: 'sample'; sample: TelemetrySample } | { kind: 'results'; results: ResultSummary };

/** As it is sent. Times are the server's, as far as the difference is known. */
export type SpoolRecord = SpoolEntry & { sequence: number };

/** Records that are sent together. */
export interface SpoolBatch {
  /** New whenever numbering begins anew. */
  spoolId: string;
  /** The numbers that it settles; what is missing among them is gone for good. */
  first: number;
  last: number;
  records: SpoolRecord[];
  /** Records that wait besides, about. */
  waiting: number;
}

export interface BatchWish {
  /** The newest records that were not given out yet, or the oldest. */
  order: 'newest' | 'oldest';
  maxRecords: number;
  /** As they are on disk. The first record is given out even if it is larger. */
  maxBytes: number;
}

/**
 * What the device has to say and could not yet, on disk.
 *
 * Invariants: a number is never given twice; a batch is on disk before it is given out; a record that was given out is not put together
 * with one that was not, so that who takes each number once takes what it stands for once.
 */
export interface Spool {
  /** Keeps an entry. Never throws, never waits: see the implementation for what a power cut may take. */
  append(entry: SpoolEntry): void;
  /**
   * What to send next; undefined when nothing waits. Until it is acknowledged or released it is not given out again, except by the next
   * process.
   */
  nextBatch(wish: BatchWish): Promise<SpoolBatch | undefined>;
  /**
   * The server has it: it need not be kept. Numbers of another spool mean nothing here.
   * @param isLasting - it is on disk when this resolves; otherwise a kill may make it be sent again.
   */
  acknowledge(batch: Pick<SpoolBatch, 'spoolId' | 'first' | 'last'>, isLasting?: boolean): Promise<void>;
  /** It was not sent, or not only to the server: it is given out again. */
  release(batch: Pick<SpoolBatch, 'first' | 'last'>): void;
  /** This machine's clock minus the server's, milliseconds; holds for all that was kept since this machine was started. */
  learnOffset(offsetMs: number): void;
  stats(): SpoolStanding;
  /** Writes what is in memory. */
  close(): Promise<void>;
}
