import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError, sha256Schema } from '@selvedge/contract';
import { explainDiskError, sha256File, sha256Hex, syncFolder, systemErrorCode } from '@selvedge/runtime';
import type { BlobInfo } from '../../ports/blob-store.ts';
import type { TransferFiles } from '../../ports/transfer-files.ts';

const READ_BYTES = 256 * 1024;
/** Written at once: one call for many of the small chunks that a socket gives. */
const WRITE_BYTES = 1024 * 1024;
/** Senders whose digest is kept up while their content comes in; that of others is computed at the end. */
const MAX_HASHES = 64;

/** Content as `files/<sha256>`, what comes in as `parts/<digest of the key>`, below one folder. */
export class FsTransferFiles implements TransferFiles {
  readonly #files: string;
  readonly #parts: string;
  readonly #receiving = new Map<string, { stop: () => void; done: Promise<unknown> }>();
  /** Digest of what has come in so far, by key. */
  readonly #hashes = new Map<string, { hash: Hash; bytes: number }>();

  constructor(folder: string) {
    this.#files = join(folder, 'files');
    this.#parts = join(folder, 'parts');
  }

  async start(): Promise<void> {
    await mkdir(this.#files, { recursive: true });
    await mkdir(this.#parts, { recursive: true });
  }

  async stat(sha256: string): Promise<BlobInfo | undefined> {
    const found = await statFile(this.#file(sha256));
    return found === undefined ? undefined : { sha256, sizeBytes: found.size };
  }

  async open(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(this.#file(sha256), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    return createReadStream('', { fd: handle, highWaterMark: READ_BYTES, ...range });
  }

  async receivedBytes(key: string): Promise<number> {
    return (await statFile(this.#part(key)))?.size ?? 0;
  }

  async receive(key: string, content: Readable, options: Parameters<TransferFiles['receive']>[2]): Promise<number> {
    const earlier = this.#receiving.get(key);
    const done = this.#receiveAfter(earlier, key, content, options);
    const entry = { stop: () => content.destroy(), done: done.catch(() => undefined) };
    this.#receiving.set(key, entry);
    try {
      return await done;
    } finally {
      if (this.#receiving.get(key) === entry) this.#receiving.delete(key);
    }
  }

  async finish(key: string, { sha256, sizeBytes }: BlobInfo): Promise<void> {
    const part = this.#part(key);
    const handle = await open(part, 'a'); // makes an empty file where there is nothing to send
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    const known = this.#hashes.get(key);
    const actual = known?.bytes === sizeBytes ? known.hash.copy().digest('hex') : await sha256File(part);
    const size = await this.receivedBytes(key);
    this.#hashes.delete(key);
    if (actual !== sha256 || size !== sizeBytes) {
      await rm(part, { force: true });
      const message = `What has come in has ${size} bytes and sha256 ${actual}; expected were ${sizeBytes} bytes and ${sha256}.`;
      throw new AppError('DIGEST_MISMATCH', { message });
    }
    await rename(part, this.#file(sha256));
    await syncFolder(this.#files);
  }

  async discard(key: string): Promise<void> {
    this.#receiving.get(key)?.stop();
    await this.#receiving.get(key)?.done;
    this.#hashes.delete(key);
    await rm(this.#part(key), { force: true });
  }

  async sweep(isNeeded: (sha256: string) => boolean, before: Date): Promise<number> {
    let removed = 0;
    for (const [folder, keep] of [
      [this.#files, isNeeded],
      [this.#parts, () => false],
    ] as const) {
      for (const name of await readdir(folder)) {
        const path = join(folder, name);
        const found = keep(name) ? undefined : await statFile(path);
        if (found === undefined || found.mtimeMs >= before.getTime()) continue;
        await rm(path, { force: true });
        removed += 1;
      }
    }
    return removed;
  }

  async touch(sha256: string): Promise<void> {
    const now = new Date();
    await utimes(this.#file(sha256), now, now);
  }

  async #receiveAfter(
    earlier: { stop: () => void; done: Promise<unknown> } | undefined,
    key: string,
    content: Readable,
    options: Parameters<TransferFiles['receive']>[2],
  ): Promise<number> {
    earlier?.stop();
    await earlier?.done;
    const part = this.#part(key);
    const handle = await open(part, 'a', 0o600);
    try {
      const { size } = await handle.stat();
      if (size !== options.offset) {
        const message = `${size} bytes have come in; the rest begins there, not at ${options.offset}.`;
        throw new AppError('CONFLICT', { message, data: { receivedBytes: size } });
      }
      return await this.#append(key, handle, content, options);
    } catch (error) {
      throw explainDiskError(error, part);
    } finally {
      await handle.close();
    }
  }

  async #append(
    key: string,
    handle: FileHandle,
    content: Readable,
    { offset, sizeBytes, onProgress }: Parameters<TransferFiles['receive']>[2],
  ): Promise<number> {
    const hashing = this.#hashFor(key, offset);
    let received = offset;
    let chunks: Uint8Array[] = [];
    let held = 0;
    let isReading = true;
    const flush = async () => {
      if (held === 0) return;
      const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, held);
      chunks = [];
      held = 0;
      hashing?.hash.update(bytes);
      await handle.writeFile(bytes);
      received += bytes.byteLength;
      if (hashing !== undefined) hashing.bytes = received;
      onProgress?.(received);
    };
    try {
      for await (const chunk of content) {
        const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
        isReading = false;
        if (received + held + bytes.byteLength > sizeBytes)
          throw new AppError('PAYLOAD_TOO_LARGE', { message: `More has come than the ${sizeBytes} bytes that were announced.` });
        chunks.push(bytes);
        held += bytes.byteLength;
        if (held >= WRITE_BYTES) await flush();
        isReading = true;
      }
    } catch (error) {
      if (!isReading) {
        this.#hashes.delete(key);
        throw error;
      }
      // the sender broke off: what it sent stays, and it goes on from there
    }
    await flush();
    return received;
  }

  #hashFor(key: string, offset: number): { hash: Hash; bytes: number } | undefined {
    const known = this.#hashes.get(key);
    if (known?.bytes === offset) return known;
    this.#hashes.delete(key);
    if (offset > 0) return undefined;
    const [oldest] = this.#hashes.keys();
    if (this.#hashes.size >= MAX_HASHES && oldest !== undefined) this.#hashes.delete(oldest);
    const made = { hash: createHash('sha256'), bytes: 0 };
    this.#hashes.set(key, made);
    return made;
  }

  /** Only a digest becomes a path, so that no caller can leave the folder. */
  #file(sha256: string): string {
    if (!sha256Schema.safeParse(sha256).success)
      throw new AppError('INPUT_INVALID', { message: 'Content is named by 64 hexadecimal digits.' });
    return join(this.#files, sha256);
  }

  #part(key: string): string {
    return join(this.#parts, sha256Hex(key));
  }
}

async function statFile(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
