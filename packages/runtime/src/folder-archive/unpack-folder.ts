import { closeSync, fchmodSync, fsync, mkdirSync, openSync, symlinkSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@selvedge/contract';
import { readTar, type TarEntry } from '../read-tar.ts';
import { explainDiskError, systemErrorCode } from '../system-error.ts';
import { compareNames, faultOfLink, faultOfName, fileMode, folderMode, MAX_FOLDER_DEPTH, MAX_FOLDER_ENTRIES } from './folder-entry.ts';
import { SMALL_FILE_BYTES, Turns } from './turns.ts';

const syncAsync = promisify(fsync);
const writeAsync = promisify(write);

export interface UnpackOptions {
  readonly signal: AbortSignal;
  /** Most that all files together may have. */
  readonly maxBytes: number;
}

/** Files that are on their way to the disk while others are written already: one by one, each would wait for it. */
const MAX_SYNCING = 16;

interface OpenFolder {
  readonly path: string;
  readonly mode: number;
  /** Name of the newest entry in it; the next one must come after it. */
  last: string;
}

/**
 * Makes a folder of an archive that `packFolder` made, wherever that came from: nothing of it is believed. When it returns, all of
 * it is on the disk.
 *
 * @param folder - must not exist; on a failure a part of it is left.
 * @throws AppError ARCHIVE_UNSAFE (user) for anything but files, folders and links within, for paths that leave the folder, come
 *   twice or not in order, and beyond 100,000 entries or the size; DISK_FULL; the signal's reason.
 */
export async function unpackFolder(archive: AsyncIterable<Uint8Array>, folder: string, options: UnpackOptions): Promise<void> {
  const unpacking = new Unpacking(folder, options);
  try {
    for await (const entry of readTar(archive)) {
      options.signal.throwIfAborted();
      await unpacking.place(entry);
    }
    await unpacking.finish();
  } catch (error) {
    await unpacking.abandon();
    options.signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    if (systemErrorCode(error) !== undefined) throw explainDiskError(error, folder);
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('ARCHIVE_UNSAFE', { message: `The archive cannot be unpacked: ${reason.slice(0, 200)}` }, { cause: error });
  }
}

/**
 * Invariant: what is written into is a folder that this has made itself and that an earlier entry of the archive named. Since
 * entries come in one order, each name once, no link can stand in the way and nothing need be remembered of what was written.
 */
class Unpacking {
  readonly #root: string;
  readonly #options: UnpackOptions;
  /** The folder that entries go into, and those that it is in. */
  readonly #open: OpenFolder[] = [];
  readonly #turns = new Turns();
  readonly #syncing = new Set<Promise<void>>();
  #failure: { cause: unknown } | undefined;
  #entries = 0;
  #bytes = 0;

  constructor(root: string, options: UnpackOptions) {
    this.#root = root;
    this.#options = options;
  }

  async place({ header, content }: TarEntry): Promise<void> {
    const { name, type, mode = 0, size = 0, linkname } = header;
    await this.#turns.give();
    this.#entries += 1;
    if (this.#entries > MAX_FOLDER_ENTRIES) throw unsafe(name, `comes after ${MAX_FOLDER_ENTRIES} others`);
    if (this.#entries === 1) {
      if (name !== './' || type !== 'directory') throw unsafe(name, 'is not the folder, which must come first');
      return this.#makeFolder('', mode);
    }
    const path = type === 'directory' && name.endsWith('/') ? name.slice(0, -1) : name;
    await this.#enter(path);
    if (type === 'directory') return this.#makeFolder(path, mode);
    if (type === 'symlink') return this.#makeLink(path, linkname ?? '');
    if (type !== 'file') throw unsafe(path, `is neither a file, a folder nor a link (${type ?? 'of a kind that is not known'})`);
    this.#bytes += size;
    if (this.#bytes > this.#options.maxBytes) throw unsafe(path, `exceeds the ${this.#options.maxBytes} bytes that are allowed`);
    await this.#writeFile(path, fileMode(mode), size, content);
  }

  async finish(): Promise<void> {
    if (this.#entries === 0) throw new AppError('ARCHIVE_UNSAFE', { message: 'The archive is empty.' });
    await this.#closeDownTo(0);
    await this.abandon();
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  /** Waits for what is under way. */
  async abandon(): Promise<void> {
    await Promise.all(this.#syncing);
  }

  /** Makes the folder of a path the one that entries go into, and checks that the path comes next in it. */
  async #enter(path: string): Promise<void> {
    const parts = path.split('/');
    for (const part of parts) {
      const fault = faultOfName(part);
      if (fault !== undefined) throw unsafe(path, fault);
    }
    if (parts.length > MAX_FOLDER_DEPTH) throw unsafe(path, 'is too deep');
    const parent = parts.slice(0, -1).join('/');
    const depth = this.#open.findIndex((one) => one.path === parent);
    const into = this.#open[depth];
    const name = parts.at(-1) ?? '';
    if (into === undefined) throw unsafe(path, 'is not in a folder that comes before it');
    if (into.last !== '' && compareNames(into.last, name) >= 0) throw unsafe(path, 'comes twice or not in order');
    into.last = name;
    await this.#closeDownTo(depth + 1);
  }

  async #closeDownTo(depth: number): Promise<void> {
    while (this.#open.length > depth) {
      const done = this.#open.pop();
      if (done === undefined) return;
      const file = openSync(join(this.#root, done.path), 'r');
      fchmodSync(file, done.mode);
      await this.#syncSoon(file);
    }
  }

  #makeFolder(path: string, mode: number): void {
    this.#make(path, (at) => mkdirSync(at, { mode: 0o700 }));
    this.#open.push({ path, mode: folderMode(mode), last: '' });
  }

  #makeLink(path: string, target: string): void {
    const fault = faultOfLink(path, target);
    if (fault !== undefined) throw unsafe(path, fault);
    this.#make(path, (at) => symlinkSync(target, at));
  }

  async #writeFile(path: string, mode: number, sizeBytes: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    const file = this.#make(path, (at) => openSync(at, 'wx', 0o600));
    const isSmall = sizeBytes <= SMALL_FILE_BYTES;
    try {
      for await (const bytes of content) {
        this.#options.signal.throwIfAborted();
        for (let done = 0; done < bytes.byteLength; )
          done += isSmall
            ? writeSync(file, bytes, done)
            : (await writeAsync(file, bytes, done, bytes.byteLength - done, null)).bytesWritten;
      }
      fchmodSync(file, mode);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    await this.#syncSoon(file);
  }

  /** A file system that does not tell apart two names of an archive says so. */
  #make<T>(path: string, make: (at: string) => T): T {
    try {
      return make(join(this.#root, path));
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
      throw unsafe(path, 'comes twice, or has a name that counts as that of another one here');
    }
  }

  /** Takes over the file. */
  async #syncSoon(file: number): Promise<void> {
    const done = syncAsync(file)
      .finally(() => closeSync(file))
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => this.#syncing.delete(done));
    this.#syncing.add(done);
    if (this.#syncing.size >= MAX_SYNCING) await Promise.race(this.#syncing);
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}

function unsafe(path: string, reason: string): AppError {
  return new AppError('ARCHIVE_UNSAFE', { message: `The archive's entry ${JSON.stringify(path.slice(0, 300))} ${reason}.` });
}
