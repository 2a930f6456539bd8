import type { Readable } from 'node:stream';
import type { DatasetSource } from '@selvedge/contract';

type S3Source = Extract<DatasetSource, { type: 's3' }>;

/** An answer with the content from `offset` on. */
export interface OpenedSource {
  /** 0 when the other side sends all of it again. */
  readonly offset: number;
  /** Size of the whole content, where it says so. */
  readonly totalBytes: number | undefined;
  readonly validator: string | null;
  readonly body: Readable;
}

/** Where datasets come from that are kept as objects in buckets. */
export interface ObjectSource {
  /**
   * One object, from an offset where it is still the one of that validator.
   * @throws AppError DOWNLOAD_FAILED with the HTTP status in `data.status`.
   */
  open(source: S3Source, from: { offset: number; validator: string } | undefined, signal: AbortSignal): Promise<OpenedSource>;
  /** All objects below the source's key as one tar stream, in the order of their names. */
  packAll(source: S3Source, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
