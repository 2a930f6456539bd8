import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { AppError } from '@selvedge/contract';
import { backoffDelayMs, explainUnreadable, sha256File, sleep } from '@selvedge/runtime';
import { describeFolder, packFolder } from '@selvedge/runtime/folder-archive';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

export interface UploadedFile {
  sha256: string;
  sizeBytes: number;
  name: string;
  /** It is the archive of a folder. */
  folder?: boolean;
}

const READ_BYTES = 512 * 1024;
const RETRY = { baseMs: 300, maxMs: 10_000 };
/** Tries that bring nothing, after which it is given up. */
const MAX_FRUITLESS = 8;

interface Content {
  readonly file: UploadedFile;
  /** The same bytes each time, from one on. */
  readonly open: (from: number) => AsyncIterable<Uint8Array>;
}

async function describe(path: string, mode: number | undefined, signal: AbortSignal): Promise<Content> {
  const name = basename(resolve(path)).slice(0, 255);
  try {
    const found = await stat(path);
    if (found.isDirectory()) {
      const options = { signal, mode };
      const file = { ...(await describeFolder(path, options)), name, folder: true };
      return { file, open: (from) => behind(packFolder(path, options), from) };
    }
    if (!found.isFile()) throw new AppError('FILE_UNREADABLE', { message: `${path} is neither a file nor a folder.` });
    const file = { sha256: await sha256File(path, signal), sizeBytes: found.size, name };
    return { file, open: (start) => createReadStream(path, { start, end: found.size - 1, highWaterMark: READ_BYTES }) };
  } catch (cause) {
    signal.throwIfAborted();
    throw explainUnreadable(cause, path);
  }
}

/** What comes after the first so many bytes. */
async function* behind(content: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of content) {
    if (chunk.byteLength > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.byteLength);
  }
}

/**
 * Brings a file, or a folder as an archive of it, to the server, from where devices fetch it. What the server has already is not sent;
 * a connection that breaks off is resumed.
 *
 * @param folderMode - permissions of the files of a folder; default: those that they have.
 * @throws AppError FILE_UNREADABLE (user), DIGEST_MISMATCH when it changes meanwhile, SERVER_UNREACHABLE after tries that brought nothing.
 */
export async function uploadFile(session: Session, path: string, folderMode?: number): Promise<UploadedFile> {
  const { client, io } = session;
  const { file, open } = await describe(path, folderMode, io.signal);
  const { sha256, sizeBytes } = file;
  const line = session.progress();
  let fruitless = 0;
  let furthest = -1;
  /** Why it cannot be read as it was described; as the fault of a request it would look like the server's. */
  let unreadable: { error: unknown } | undefined;
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
          upload: exactly(() => open(receivedBytes), sizeBytes - receivedBytes, {
            onProgress: (sent) => {
              const done = receivedBytes + sent;
              const percent = Math.floor((done / sizeBytes) * 100);
              line.update(`upload ${percent}%  ${formatBytes(done)} of ${formatBytes(sizeBytes)}`, `upload ${Math.floor(percent / 20)}`);
            },
            onError: (error) => {
              unreadable = { error };
            },
          }),
          signal: io.signal,
        });
      } catch (error) {
        io.signal.throwIfAborted();
        if (unreadable !== undefined) throw unreadable.error;
        const mayGoOn = error instanceof AppError && (error.code === 'SERVER_UNREACHABLE' || error.code === 'CONFLICT');
        if (!mayGoOn || fruitless >= MAX_FRUITLESS) throw error;
        await sleep(backoffDelayMs(fruitless + 1, RETRY), io.signal);
      }
    }
  } finally {
    line.clear();
  }
}

/** @throws AppError FILE_UNREADABLE when there are more or fewer bytes. */
async function* exactly(
  open: () => AsyncIterable<Uint8Array>,
  bytes: number,
  told: { onProgress: (done: number) => void; onError: (error: unknown) => void },
): AsyncGenerator<Uint8Array> {
  let done = 0;
  try {
    if (bytes > 0) {
      for await (const chunk of open()) {
        done += chunk.byteLength;
        if (done > bytes) break;
        yield chunk;
        told.onProgress(done);
      }
    }
    if (done !== bytes) throw new AppError('FILE_UNREADABLE', { message: 'What is to be sent changes meanwhile; call it again.' });
  } catch (error) {
    told.onError(error);
    throw error;
  }
}
