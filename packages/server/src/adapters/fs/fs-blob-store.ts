import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError, sha256Schema } from '@selvedge/contract';
import { explainDiskError, syncFolder, systemErrorCode } from '@selvedge/runtime';
import type { BlobInfo, BlobStore } from '../../ports/blob-store.ts';

/**
 * Blobs as files `blobs/sha256/ab/abcdef…` below one folder.
 *
 * A blob is written to `blobs/incoming/`, on the same file system, and renamed once it is whole, verified and synced.
 */
export class FsBlobStore implements BlobStore {
  readonly #root: string;
  readonly #incoming: string;

  /** @param dataDir - the folder `blobs` is made in it. */
  constructor(dataDir: string) {
    this.#root = join(dataDir, 'blobs', 'sha256');
    this.#incoming = join(dataDir, 'blobs', 'incoming');
  }

  /** Makes the folders and sweeps what a crash left half-written. To be called before anything is put. */
  async start(): Promise<void> {
    await mkdir(this.#root, { recursive: true });
    await mkdir(this.#incoming, { recursive: true });
    for (const leftover of await readdir(this.#incoming)) await rm(join(this.#incoming, leftover), { force: true });
  }

  async put(content: Readable, options: { expectedSha256?: string; maxBytes?: number; signal?: AbortSignal } = {}): Promise<BlobInfo> {
    const temporary = join(this.#incoming, randomUUID());
    try {
      const info = await receive(content, temporary, options);
      const { expectedSha256 } = options;
      if (expectedSha256 !== undefined && expectedSha256 !== info.sha256) {
        throw new AppError('DIGEST_MISMATCH', { message: `The content has sha256 ${info.sha256}, expected ${expectedSha256}.` });
      }
      if ((await this.stat(info.sha256)) === undefined) await this.#publish(temporary, info.sha256);
      return info;
    } catch (error) {
      throw explainDiskError(error, this.#root);
    } finally {
      content.destroy();
      await rm(temporary, { force: true });
    }
  }

  async stat(sha256: string): Promise<BlobInfo | undefined> {
    try {
      return { sha256, sizeBytes: (await stat(this.path(sha256))).size };
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async open(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(this.path(sha256), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    return createReadStream('', { fd: handle, highWaterMark: 256 * 1024, ...range });
  }

  async delete(sha256: string): Promise<boolean> {
    try {
      await rm(this.path(sha256));
      return true;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #publish(temporary: string, sha256: string): Promise<void> {
    const folder = join(this.#root, sha256.slice(0, 2));
    await mkdir(folder, { recursive: true });
    await rename(temporary, join(folder, sha256));
    await syncFolder(folder);
    await syncFolder(this.#root);
  }

  /** Where a blob is, for programs that read it themselves. Only a digest becomes a path, so that no caller can leave the folder. */
  path(sha256: string): string {
    if (!sha256Schema.safeParse(sha256).success)
      throw new AppError('INPUT_INVALID', { message: 'A blob is named by 64 hexadecimal digits.' });
    return join(this.#root, sha256.slice(0, 2), sha256);
  }
}

/** Streams to a new file while hashing, and syncs it. */
async function receive(content: Readable, path: string, options: { maxBytes?: number; signal?: AbortSignal }): Promise<BlobInfo> {
  const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
  const { signal } = options;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const stopReading = () => content.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal?.throwIfAborted();
  const handle = await open(path, 'wx', 0o644);
  signal?.addEventListener('abort', stopReading, { once: true });
  try {
    for await (const chunk of content) {
      const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      sizeBytes += bytes.byteLength;
      if (sizeBytes > maxBytes) throw new AppError('PAYLOAD_TOO_LARGE', { message: `The content is larger than ${maxBytes} bytes.` });
      hash.update(bytes);
      await handle.writeFile(bytes);
    }
    signal?.throwIfAborted();
    await handle.sync();
  } finally {
    signal?.removeEventListener('abort', stopReading);
    await handle.close();
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
