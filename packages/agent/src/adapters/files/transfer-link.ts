import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { AppError, toAppError } from '@selvedge/contract';
import { backoffDelayMs, type DownloadResponse, explainDiskError, type Logger, sleep } from '@selvedge/runtime';
import { TokenBucket } from '../../domain/token-bucket.ts';
import type { PullCommand, PushCommand } from '../../ports/device-files.ts';
import { CHUNK_BYTES, chunksOf, digestInto, inBatches, writeAt } from './file-bytes.ts';
import { refuseWithoutSpace } from './part-files.ts';

export interface TransferLinkOptions {
  /** Opens a blob of the server from a byte on. */
  openBlob: (sha256: string, offset: number, signal: AbortSignal) => Promise<DownloadResponse>;
  /** How much the server has of what is sent for an operation. */
  sentBytes: (operation: string, signal: AbortSignal) => Promise<number>;
  sendPart: (
    operation: string,
    part: { offset: number; size: number; content: AsyncIterable<Uint8Array> },
    signal: AbortSignal,
  ) => Promise<void>;
  log: Logger;
  clock: () => number;
}

/** Written at once. */
const BATCH_BYTES = 256 * 1024;
const RETRY = { baseMs: 500, maxMs: 15_000 };
/** Tries without a new byte in between. */
const MAX_FRUITLESS = 8;
const GIVES_UP: readonly string[] = [
  'FORBIDDEN',
  'NOT_FOUND',
  'DISK_FULL',
  'DIGEST_MISMATCH',
  'CONFLICT',
  'PAYLOAD_TOO_LARGE',
  'INPUT_INVALID',
];

/** A file that comes in, over one or several connections. */
interface Incoming {
  readonly handle: FileHandle;
  readonly hash: Hash;
  readonly bucket: TokenBucket | undefined;
  readonly batchBytes: number;
  doneBytes: number;
}

/** Bytes from and to the server, over as many connections as it takes, at a bounded rate. */
export class TransferLink {
  readonly #options: TransferLinkOptions;

  constructor(options: TransferLinkOptions) {
    this.#options = options;
  }

  /**
   * Fetches to a file, on from what is in it already; it is whole and verified then.
   *
   * @param options.alsoBytes - room that is needed besides.
   * @throws AppError DISK_FULL before anything is fetched, DIGEST_MISMATCH (the file is thrown away), DOWNLOAD_FAILED, the signal's reason.
   */
  async fetch(
    { file, limitBytesPerS }: Pick<PushCommand, 'file' | 'limitBytesPerS'>,
    part: string,
    options: { alsoBytes: number; signal: AbortSignal },
  ): Promise<void> {
    const { alsoBytes, signal } = options;
    const handle = await open(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const { size } = await handle.stat();
      if (size > file.sizeBytes) await handle.truncate(0);
      const offset = size > file.sizeBytes ? 0 : size;
      const hash = createHash('sha256');
      await digestInto(hash, handle, offset, signal);
      await refuseWithoutSpace(part, file.sizeBytes - offset + alsoBytes);
      const bucket = limitBytesPerS === undefined ? undefined : new TokenBucket(limitBytesPerS, this.#options.clock());
      const batchBytes = Math.min(BATCH_BYTES, limitBytesPerS ?? BATCH_BYTES);
      const incoming = { handle, hash, doneBytes: offset, bucket, batchBytes };
      await this.#retry(
        () => this.#fetchRest(file, incoming, signal),
        () => incoming.doneBytes,
        signal,
      );
      if (hash.digest('hex') === file.sha256) return;
      await rm(part, { force: true });
      throw new AppError('DIGEST_MISMATCH', { message: `What was fetched does not have sha256 ${file.sha256}; it was thrown away.` });
    } finally {
      await handle.close();
    }
  }

  async #fetchRest(file: PushCommand['file'], incoming: Incoming, signal: AbortSignal): Promise<void> {
    if (incoming.doneBytes >= file.sizeBytes) return;
    const { status, body } = await this.#options.openBlob(file.sha256, incoming.doneBytes, signal);
    try {
      if (status !== (incoming.doneBytes === 0 ? 200 : 206)) {
        const code = status === 401 || status === 403 ? 'FORBIDDEN' : status === 404 ? 'NOT_FOUND' : 'DOWNLOAD_FAILED';
        throw new AppError(code, { message: `The download was answered with HTTP ${status}.` });
      }
      for await (const bytes of inBatches(body, incoming.batchBytes)) {
        if (incoming.doneBytes + bytes.byteLength > file.sizeBytes)
          throw new AppError('DIGEST_MISMATCH', { message: `More came than the expected ${file.sizeBytes} bytes.` });
        incoming.hash.update(bytes);
        await writeAt(incoming.handle, bytes, incoming.doneBytes);
        incoming.doneBytes += bytes.byteLength;
        await this.#pace(incoming.bucket, bytes.byteLength, signal);
      }
    } finally {
      body.destroy();
    }
    if (incoming.doneBytes < file.sizeBytes) throw new AppError('DOWNLOAD_FAILED', { message: 'The download ended early.' });
  }

  /** Sends the first `size` bytes of a file, on from what the server has. @throws AppError CONFLICT when it becomes shorter meanwhile. */
  async send(
    { operation, limitBytesPerS }: Pick<PullCommand, 'operation' | 'limitBytesPerS'>,
    handle: FileHandle,
    size: number,
    signal: AbortSignal,
  ): Promise<void> {
    const bucket = limitBytesPerS === undefined ? undefined : new TokenBucket(limitBytesPerS, this.#options.clock());
    const { sentBytes, sendPart } = this.#options;
    let known = 0;
    const once = async () => {
      known = await sentBytes(operation, signal);
      if (known > size) throw new AppError('CONFLICT', { message: 'The file has become shorter while it was sent.' });
      if (known === size) return;
      await sendPart(operation, { offset: known, size, content: this.#paced(handle, known, size, bucket, signal) }, signal);
    };
    await this.#retry(once, () => known, signal);
  }

  async *#paced(
    handle: FileHandle,
    from: number,
    to: number,
    bucket: TokenBucket | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let left = to - from;
    for await (const bytes of chunksOf(handle, from, to, bucket === undefined ? CHUNK_BYTES : CHUNK_BYTES / 16)) {
      yield bytes;
      left -= bytes.byteLength;
      await this.#pace(bucket, bytes.byteLength, signal);
    }
    if (left > 0) throw new AppError('CONFLICT', { message: 'The file has become shorter while it was sent.' });
  }

  async #pace(bucket: TokenBucket | undefined, bytes: number, signal: AbortSignal): Promise<void> {
    const waitMs = bucket?.take(bytes, this.#options.clock()) ?? 0;
    if (waitMs > 0) await sleep(waitMs, signal);
    else signal.throwIfAborted();
  }

  /** Tries until it is done; one that got further does not count. */
  async #retry(once: () => Promise<void>, doneBytes: () => number, signal: AbortSignal): Promise<void> {
    let fruitless = 0;
    for (;;) {
      const before = doneBytes();
      try {
        return await once();
      } catch (thrown) {
        signal.throwIfAborted();
        const cause = explainDiskError(thrown, 'the disk');
        const error = toAppError(cause);
        if (cause instanceof AppError && GIVES_UP.includes(error.code)) throw error;
        fruitless = doneBytes() > before ? 1 : fruitless + 1;
        if (fruitless >= MAX_FRUITLESS)
          throw new AppError('DOWNLOAD_FAILED', { message: `The transfer failed ${fruitless} times: ${error.message}` }, { cause: thrown });
        this.#options.log.warn('a transfer was interrupted; resuming', { error: error.message });
        await sleep(backoffDelayMs(fruitless, RETRY), signal);
      }
    }
  }
}
