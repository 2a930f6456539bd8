import { createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, toAppError } from '@selvedge/contract';
import { syncFolder } from './atomic-file.ts';
import { type Backoff, backoffDelayMs, sleep } from './backoff.ts';
import { sha256File } from './digest.ts';
import type { Logger } from './log.ts';
import { explainDiskError, systemErrorCode } from './system-error.ts';

export interface DownloadResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
}

export interface DownloadOptions {
  /** Requests the content from this byte on (`Range: bytes=N-` when N > 0). */
  open: (offset: number) => Promise<DownloadResponse>;
  /** Where the verified file goes; until then `destination.part` grows beside it. */
  destination: string;
  sha256: string;
  /** Exact size where known: more bytes are refused while they come in. */
  sizeBytes?: number;
  onProgress?: (doneBytes: number, totalBytes: number | undefined) => void;
  signal?: AbortSignal;
  /** Tries without any new byte in between; default 5. A try that got further does not count. */
  maxAttempts?: number;
  backoff?: Backoff;
  log?: Logger;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function receive(options: DownloadOptions, part: string): Promise<void> {
  let offset = await sizeOf(part);
  if (options.sizeBytes !== undefined && offset >= options.sizeBytes) return;
  const response = await options.open(offset);
  if (response.status === 416) {
    response.body.resume();
    return; // nothing after what we have: the digest decides
  }
  if (response.status === 200) offset = 0;
  else if (response.status !== 206) {
    response.body.resume();
    const code =
      response.status === 403 || response.status === 401 ? 'FORBIDDEN' : response.status === 404 ? 'NOT_FOUND' : 'DOWNLOAD_FAILED';
    throw new AppError(code, { message: `The download was answered with HTTP ${response.status}.` });
  }
  let done = offset;
  const limit = options.sizeBytes;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      done += chunk.length;
      if (limit !== undefined && done > limit) {
        callback(new AppError('DIGEST_MISMATCH', { message: `The download is longer than the expected ${limit} bytes.` }));
        return;
      }
      options.onProgress?.(done, limit);
      callback(null, chunk);
    },
  });
  await pipeline(response.body, meter, createWriteStream(part, { flags: offset === 0 ? 'w' : 'a' }), {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function publish(options: DownloadOptions, part: string): Promise<void> {
  const actual = await sha256File(part, options.signal);
  if (actual !== options.sha256) {
    await rm(part, { force: true });
    throw new AppError('DIGEST_MISMATCH', {
      message: `A downloaded file has sha256 ${actual}, expected ${options.sha256}; it was thrown away.`,
    });
  }
  const handle = await open(part, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, options.destination);
  await syncFolder(dirname(options.destination));
}

const GIVES_UP: readonly string[] = ['FORBIDDEN', 'NOT_FOUND', 'DISK_FULL', 'DIGEST_MISMATCH', 'RATE_LIMITED'];

/**
 * Downloads a file so that it appears under its name only whole and verified. A cut is resumed where it broke, also
 * after a restart of the process.
 *
 * @throws AppError DIGEST_MISMATCH, DISK_FULL, FORBIDDEN, NOT_FOUND, RATE_LIMITED at once; DOWNLOAD_FAILED after `maxAttempts` tries
 *   that brought nothing; the signal's reason when aborted.
 */
export async function downloadResumable(options: DownloadOptions): Promise<void> {
  const part = `${options.destination}.part`;
  await mkdir(dirname(options.destination), { recursive: true });
  const maxAttempts = options.maxAttempts ?? 5;
  let fruitless = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      await receive(options, part);
      if (options.sizeBytes === undefined || (await sizeOf(part)) >= options.sizeBytes) break;
      throw new AppError('DOWNLOAD_FAILED', { message: 'The download ended early.' });
    } catch (thrown) {
      options.signal?.throwIfAborted();
      const error = explainDiskError(thrown, options.destination);
      if (error instanceof AppError && GIVES_UP.includes(error.code)) {
        if (error.code === 'DIGEST_MISMATCH') await rm(part, { force: true });
        throw error;
      }
      fruitless = (await sizeOf(part)) > before ? 1 : fruitless + 1;
      const reason = toAppError(error).message;
      if (fruitless >= maxAttempts)
        throw new AppError('DOWNLOAD_FAILED', { message: `The download failed ${fruitless} times: ${reason}` }, { cause: thrown });
      options.log?.warn('download interrupted; resuming', { error: reason });
      await sleep(backoffDelayMs(fruitless, options.backoff ?? { baseMs: 200, maxMs: 10_000 }), options.signal);
    }
  }
  await publish(options, part);
}
