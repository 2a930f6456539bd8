import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import {
  backoffDelayMs,
  describeError,
  explainDiskError,
  type Logger,
  readJsonFile,
  sleep,
  systemErrorCode,
  writeJsonAtomic,
} from '@selvedge/runtime';
import * as z from 'zod';
import type { OpenedSource } from '../ports/object-source.ts';
import { isWorthRetrying } from './source-download.ts';

/** Tries without any new byte in between. */
const MAX_FRUITLESS = 5;
const BACKOFF = { baseMs: 500, maxMs: 10_000 };

const stateSchema = z.strictObject({
  source: z.string(),
  /** ETag or date of the content that was begun; null when the other side gives none: then it cannot be resumed. */
  validator: z.string().nullable(),
});

export interface ResumableDownload {
  /** Names the source, in the state and nowhere else. */
  readonly source: string;
  /** Opens the content from `from.offset` on when it is still the one of `from.validator`, or else from the start. */
  open(from: { offset: number; validator: string } | undefined): Promise<OpenedSource>;
  /** A folder of its own: what is there already is continued, also after a restart of the server. */
  readonly folder: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  onProgress(doneBytes: number, totalBytes: number | undefined): void;
}

/**
 * Downloads into a file; a break is continued where it was, as long as the content is the same.
 *
 * @returns the path of the whole file, below `folder`; who has taken it over removes the folder.
 * @throws AppError PAYLOAD_TOO_LARGE, DISK_FULL, DOWNLOAD_FAILED; the folder is gone then. The signal's reason when it is
 * aborted; then the folder stays.
 */
export async function downloadToFile(options: ResumableDownload): Promise<string> {
  const { folder, signal, log } = options;
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'content');
  let fruitless = 0;
  for (;;) {
    const before = await sizeOf(path);
    try {
      await receive(options, path, before);
      return path;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = explainDiskError(thrown, folder);
      fruitless = (await sizeOf(path)) > before ? 1 : fruitless + 1;
      if (!isWorthRetrying(error) || fruitless >= MAX_FRUITLESS) {
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
      log.warn('dataset download interrupted; resuming', { doneBytes: await sizeOf(path), ...describeError(error) });
      await sleep(backoffDelayMs(fruitless, BACKOFF), signal);
    }
  }
}

async function receive(options: ResumableDownload, path: string, present: number): Promise<void> {
  const { source, folder, maxBytes, signal, onProgress } = options;
  const stateFile = join(folder, 'state.json');
  const state = await readJsonFile(stateFile, stateSchema).catch(() => undefined); // unreadable: as if there were none
  const canResume = present > 0 && state?.source === source && state.validator !== null;
  const { offset, totalBytes, validator, body } = await options.open(
    canResume && state.validator !== null ? { offset: present, validator: state.validator } : undefined,
  );
  try {
    if (totalBytes !== undefined && totalBytes > maxBytes) throw tooLarge(maxBytes);
    if (offset === 0) {
      await rm(path, { force: true });
      await writeJsonAtomic(stateFile, { source, validator });
    } else if (offset !== present) throw new Error(`the answer begins at ${offset} and not at ${present}`);
    let done = offset;
    // Chunk by chunk, so that all that has come is on disk when the connection breaks.
    const file = await open(path, offset === 0 ? 'w' : 'a');
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        const bytes = Buffer.from(chunk);
        done += bytes.length;
        if (done > maxBytes) throw tooLarge(maxBytes);
        await file.appendFile(bytes);
        onProgress(done, totalBytes);
      }
    } finally {
      await file.close();
    }
    if (totalBytes !== undefined && done !== totalBytes) {
      throw new AppError('DOWNLOAD_FAILED', { message: `The download ended after ${done} of ${totalBytes} bytes.` });
    }
  } finally {
    body.destroy();
  }
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('PAYLOAD_TOO_LARGE', { message: `The content is larger than the limit of ${maxBytes} bytes.` });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
