import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { AppError } from '@selvedge/contract';
import { backoffDelayMs, sha256File, sleep } from '@selvedge/runtime';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

export interface UploadedFile {
  sha256: string;
  sizeBytes: number;
  name: string;
}

const READ_BYTES = 512 * 1024;
const RETRY = { baseMs: 300, maxMs: 10_000 };
/** Tries that bring nothing, after which it is given up. */
const MAX_FRUITLESS = 8;

async function describe(path: string, signal: AbortSignal): Promise<UploadedFile> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new AppError('FILE_UNREADABLE', { message: `${path} is not a file.` });
    return { sha256: await sha256File(path, signal), sizeBytes: found.size, name: basename(resolve(path)).slice(0, 255) };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof AppError) throw cause;
    throw new AppError('FILE_UNREADABLE', { message: `${path} could not be read.` }, { cause });
  }
}

/**
 * Brings a file to the server, from where devices fetch it. What the server has already is not sent; a connection that breaks off
 * is resumed.
 *
 * @throws AppError FILE_UNREADABLE (user), DIGEST_MISMATCH when it changes meanwhile, SERVER_UNREACHABLE after tries that brought nothing.
 */
export async function uploadFile(session: Session, path: string): Promise<UploadedFile> {
  const { client, io } = session;
  const file = await describe(path, io.signal);
  const { sha256, sizeBytes } = file;
  const line = session.progress();
  let fruitless = 0;
  let furthest = -1;
  try {
    for (;;) {
      const { receivedBytes, complete } = await client.getUpload({ params: { sha256 }, signal: io.signal });
      if (complete) return file;
      fruitless = receivedBytes > furthest ? 0 : fruitless + 1;
      furthest = receivedBytes;
      try {
        await client.putUpload({
          params: { sha256 },
          query: { offset: receivedBytes, size: sizeBytes },
          upload: measured(path, receivedBytes, sizeBytes, (done) => {
            const percent = sizeBytes === 0 ? 100 : Math.floor((done / sizeBytes) * 100);
            line.update(`upload ${percent}%  ${formatBytes(done)} of ${formatBytes(sizeBytes)}`, `upload ${Math.floor(percent / 20)}`);
          }),
          signal: io.signal,
        });
      } catch (error) {
        io.signal.throwIfAborted();
        const mayGoOn = error instanceof AppError && (error.code === 'SERVER_UNREACHABLE' || error.code === 'CONFLICT');
        if (!mayGoOn || fruitless >= MAX_FRUITLESS) throw error;
        await sleep(backoffDelayMs(fruitless + 1, RETRY), io.signal);
      }
    }
  } finally {
    line.clear();
  }
}

async function* measured(path: string, from: number, to: number, onProgress: (done: number) => void): AsyncGenerator<Uint8Array> {
  let done = from;
  if (from >= to) return;
  for await (const chunk of createReadStream(path, { start: from, end: to - 1, highWaterMark: READ_BYTES })) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('A file is read as bytes.');
    yield chunk;
    done += chunk.byteLength;
    onProgress(done);
  }
}
