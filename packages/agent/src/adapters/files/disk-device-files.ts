import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type TransferResult, toAppError } from '@selvedge/contract';
import {
  backoffDelayMs,
  type DownloadResponse,
  explainDiskError,
  type Logger,
  sha256Hex,
  sleep,
  syncFolder,
  systemErrorCode,
} from '@selvedge/runtime';
import { TokenBucket } from '../../domain/token-bucket.ts';
import type { DeviceFiles, PullCommand, PushCommand } from '../../ports/device-files.ts';
import { type AllowedRoots, explainAccess, type Place } from './allowed-roots.ts';
import { CHUNK_BYTES, chunksOf, digestInto, digestOf, digestOfPath, inBatches, writeAt } from './file-bytes.ts';

export interface DiskDeviceFilesOptions {
  readRoots: AllowedRoots;
  writeRoots: AllowedRoots;
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
/** Left free for everything else on the device. */
const SPARE_BYTES = 16 * 1024 * 1024;
const RETRY = { baseMs: 500, maxMs: 15_000 };
/** Tries without a new byte in between. */
const MAX_FRUITLESS = 8;
const STALE_PART_MS = 7 * 86_400_000;
const PART = /^\.selvedge-[0-9a-f]{32}\.part$/;
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

/** Files on the disk. What comes in grows beside its place under a hidden name and is renamed once it is whole, verified and synced. */
export class DiskDeviceFiles implements DeviceFiles {
  readonly #options: DiskDeviceFilesOptions;
  /** Places that something is under way to: one at a time. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: DiskDeviceFilesOptions) {
    this.#options = options;
  }

  async receive(command: PushCommand, signal: AbortSignal): Promise<TransferResult> {
    const place = await this.#options.writeRoots.place(command.path, { make: command.check !== true }).catch((error: unknown) => {
      if (command.check === true && error instanceof AppError && error.code === 'NOT_FOUND') return undefined; // it would be made
      throw error;
    });
    if (place === undefined) return { ...command.file, changed: true };
    const before = this.#busy.get(place.path);
    const done = (before ?? Promise.resolve()).catch(() => undefined).then(() => this.#receiveTo(place, command, signal));
    this.#busy.set(place.path, done);
    try {
      return await done;
    } catch (error) {
      throw explainAccess(explainDiskError(error, place.path), command.path);
    } finally {
      if (this.#busy.get(place.path) === done) this.#busy.delete(place.path);
    }
  }

  async forget(command: PushCommand): Promise<void> {
    const place = await this.#options.writeRoots.place(command.path, { make: false }).catch(() => undefined);
    if (place !== undefined) await rm(partOf(place, command), { force: true });
  }

  async send(command: PullCommand, signal: AbortSignal): Promise<TransferResult> {
    const place = await this.#options.readRoots.place(command.path, { make: false });
    let handle: FileHandle;
    try {
      // not blocking: opening a pipe would wait for its writer
      handle = await open(place.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') throw new AppError('NOT_FOUND', { message: `There is no ${command.path} on this device.` });
      throw explainAccess(error, command.path);
    }
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new AppError('CONFLICT', { message: `${command.path} is not a file.` });
      // What a program appends meanwhile is left for the next time.
      if (command.check !== true) await this.#sendAll(command, handle, found.size, signal);
      return { sha256: await digestOf(handle, found.size, signal), sizeBytes: found.size, changed: false };
    } finally {
      await handle.close();
    }
  }

  async #receiveTo(place: Place, command: PushCommand, signal: AbortSignal): Promise<TransferResult> {
    const { file, mode, check } = command;
    const present = await statPlace(place);
    if (present !== undefined && !present.isFile() && !present.isSymbolicLink())
      throw new AppError('CONFLICT', { message: `${command.path} is ${present.isDirectory() ? 'a folder' : 'not a file'}.` });
    const result = (changed: boolean): TransferResult => ({ ...file, changed });
    const sameMode = mode === undefined || (present !== undefined && (present.mode & 0o777) === mode);
    if (present?.isFile() === true && present.size === file.sizeBytes && (await digestOfPath(place.path, signal)) === file.sha256) {
      if (!sameMode && check !== true) await setMode(place.path, mode);
      return result(!sameMode);
    }
    if (check === true) return result(true);
    const part = partOf(place, command);
    await removeStaleParts(place.folder, part);
    await this.#fetch(command, part, signal);
    const handle = await open(part, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      await handle.chmod(mode ?? (present?.isFile() === true ? present.mode & 0o777 : 0o644));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, place.path);
    await syncFolder(place.folder);
    return result(true);
  }

  async #fetch({ file, limitBytesPerS }: PushCommand, part: string, signal: AbortSignal): Promise<void> {
    const handle = await open(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const { size } = await handle.stat();
      if (size > file.sizeBytes) await handle.truncate(0);
      const offset = size > file.sizeBytes ? 0 : size;
      const hash = createHash('sha256');
      await digestInto(hash, handle, offset, signal);
      await refuseWithoutSpace(part, file.sizeBytes - offset);
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

  async #sendAll({ operation, limitBytesPerS }: PullCommand, handle: FileHandle, size: number, signal: AbortSignal): Promise<void> {
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

/** The same for the same content and place, so that a later try finds it, also after a restart. */
function partOf(place: Place, { file }: PushCommand): string {
  return join(place.folder, `.selvedge-${sha256Hex(`${place.name}\0${file.sha256}`).slice(0, 32)}.part`);
}

async function statPlace(place: Place) {
  try {
    return await lstat(place.path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function removeStaleParts(folder: string, own: string): Promise<void> {
  const before = Date.now() - STALE_PART_MS;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (PART.test(name) && path !== own && (await stat(path)).mtimeMs < before) await rm(path, { force: true });
  }
}

async function refuseWithoutSpace(path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  if (neededBytes + SPARE_BYTES <= free) return;
  throw new AppError('DISK_FULL', {
    message: `The file needs ${neededBytes} bytes and ${SPARE_BYTES} to spare; ${free} are free on the device.`,
  });
}

async function setMode(path: string, mode: number): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}
