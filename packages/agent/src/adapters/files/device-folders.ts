import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type TransferResult } from '@selvedge/contract';
import { describeError, type Logger, pathExists, sha256Hex } from '@selvedge/runtime';
import {
  besideOf,
  describeFolder,
  holdsFolder,
  measureFolder,
  packFolder,
  replaceFolder,
  settlePlace,
  unpackFolder,
} from '@selvedge/runtime/folder-archive';
import type { PullCommand, PushFolderCommand } from '../../ports/device-files.ts';
import type { Place } from './allowed-roots.ts';
import { digestOf } from './file-bytes.ts';
import { partOf, refuseWithoutSpace, removeStaleParts, statPlace } from './part-files.ts';
import type { TransferLink } from './transfer-link.ts';
import { UnfinishedFolders } from './unfinished-folders.ts';

export interface DeviceFoldersOptions {
  link: TransferLink;
  /** For archives that are sent. */
  packedDir: string;
  /** Where is noted which folders are being replaced. */
  unfinishedDir: string;
  log: Logger;
}

const READ_BYTES = 256 * 1024;
const STALE_ARCHIVE_MS = 7 * 86_400_000;

/**
 * Folders on the disk, which travel as archives. One that comes in is fetched beside its place as a file is, unpacked beside it, and
 * takes the place as a whole. One that goes out is packed first, so that a connection that is cut, or an agent that was killed, can go
 * on in the same bytes although programs write there.
 */
export class DeviceFolders {
  readonly #options: DeviceFoldersOptions;
  readonly #unfinished: UnfinishedFolders;

  constructor(options: DeviceFoldersOptions) {
    this.#options = options;
    this.#unfinished = new UnfinishedFolders(options.unfinishedDir);
  }

  /** @throws AppError as DeviceFiles.receive. */
  async receive(place: Place, command: PushFolderCommand, signal: AbortSignal): Promise<TransferResult> {
    const { file, check } = command;
    const result = (changed: boolean): TransferResult => ({ ...file, changed, folder: true });
    if (check !== true) await settlePlace(place);
    const present = await statPlace(place);
    if (present !== undefined && !present.isDirectory() && !present.isSymbolicLink())
      throw new AppError('CONFLICT', { message: `${command.path} is ${present.isFile() ? 'a file' : 'not a folder'}.` });
    if (await holdsFolder(place.path, file, { signal })) return result(false);
    if (check === true) return result(true);
    const part = partOf(place, command);
    await removeStaleParts(place.folder, part);
    // the archive stays until the folder is unpacked
    await this.#options.link.fetch(command, part, { alsoBytes: file.sizeBytes, signal });
    await this.#replace(place, part, file.sizeBytes, signal);
    await rm(part, { force: true });
    return result(true);
  }

  /** @throws AppError as DeviceFiles.send. */
  async send(place: Place, command: PullCommand, signal: AbortSignal): Promise<TransferResult> {
    if (command.check === true) return { ...(await describeFolder(place.path, { signal })), changed: false, folder: true };
    const packed = join(this.#options.packedDir, `${sha256Hex(command.operation).slice(0, 32)}.tar`);
    try {
      const result = await this.#sendPacked(place, command, packed, signal);
      await rm(packed, { force: true });
      return result;
    } catch (error) {
      // it goes on with the same archive when the agent is back
      if (!(error instanceof AppError && error.code === 'INTERRUPTED')) await rm(packed, { force: true });
      throw error;
    }
  }

  async #replace(place: Place, archive: string, maxBytes: number, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    await this.#unfinished.note(place);
    try {
      const handle = await open(archive, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const content = handle.createReadStream({ highWaterMark: READ_BYTES, autoClose: false });
        await unpackFolder(content, besideOf(place, 'new'), { signal, maxBytes });
      } finally {
        await handle.close();
      }
      const left = await replaceFolder(place);
      if (left !== undefined) log.warn('a folder was replaced, but the old one may not be removed', { old: left });
    } catch (error) {
      if (error instanceof AppError && error.code === 'ARCHIVE_UNSAFE') await rm(archive, { force: true });
      await settlePlace(place).catch((cause: unknown) => log.error('a folder that was unpacked in vain is left', describeError(cause)));
      throw error;
    } finally {
      await this.#unfinished.done(place);
    }
  }

  async #sendPacked(place: Place, command: PullCommand, packed: string, signal: AbortSignal): Promise<TransferResult> {
    if (!(await pathExists(packed))) await this.#pack(place, packed, signal);
    const handle = await open(packed, 'r');
    try {
      const { size } = await handle.stat();
      await this.#options.link.send(command, handle, size, signal);
      return { sha256: await digestOf(handle, size, signal), sizeBytes: size, changed: false, folder: true };
    } finally {
      await handle.close();
    }
  }

  async #pack(place: Place, packed: string, signal: AbortSignal): Promise<void> {
    const { packedDir } = this.#options;
    await mkdir(packedDir, { recursive: true, mode: 0o700 });
    await removeStaleArchives(packedDir);
    await refuseWithoutSpace(packedDir, await measureFolder(place.path, { signal }));
    const growing = `${packed}.part`;
    try {
      await writeFile(growing, packFolder(place.path, { signal }), { mode: 0o600 });
      await rename(growing, packed);
    } catch (error) {
      await rm(growing, { force: true });
      throw error;
    }
  }
}

/** Of operations that nobody has gone on with. */
async function removeStaleArchives(folder: string): Promise<void> {
  const before = Date.now() - STALE_ARCHIVE_MS;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if ((await stat(path)).mtimeMs < before) await rm(path, { force: true });
  }
}
