import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type TransferResult } from '@selvedge/contract';
import { explainDiskError, syncFolder, systemErrorCode } from '@selvedge/runtime';
import type { DeviceFiles, PullCommand, PushCommand, PushFolderCommand } from '../../ports/device-files.ts';
import { type AllowedRoots, explainAccess, type Place } from './allowed-roots.ts';
import type { DeviceFolders } from './device-folders.ts';
import { digestOf, digestOfPath } from './file-bytes.ts';
import { partOf, removeStaleParts, statPlace } from './part-files.ts';
import { TransferLink, type TransferLinkOptions } from './transfer-link.ts';

export interface DiskDeviceFilesOptions extends TransferLinkOptions {
  readRoots: AllowedRoots;
  writeRoots: AllowedRoots;
  /** The agent's own folder. */
  dir: string;
  /** Where is noted which folders are being replaced. */
  unfinishedDir: string;
}

const PACKED_DIR = 'packed-folders';

/** Files on the disk. What comes in grows beside its place under a hidden name and is renamed once it is whole, verified and synced. */
export class DiskDeviceFiles implements DeviceFiles {
  readonly #options: DiskDeviceFilesOptions;
  readonly #link: TransferLink;
  /** Places that something is under way to: one at a time. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #folders: Promise<DeviceFolders> | undefined;

  constructor(options: DiskDeviceFilesOptions) {
    this.#options = options;
    this.#link = new TransferLink(options);
  }

  async receive(command: PushCommand | PushFolderCommand, signal: AbortSignal): Promise<TransferResult> {
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

  async forget(command: PushCommand | PushFolderCommand): Promise<void> {
    const place = await this.#options.writeRoots.place(command.path, { make: false }).catch(() => undefined);
    if (place !== undefined) await rm(partOf(place, command), { force: true });
  }

  async send(command: PullCommand, signal: AbortSignal): Promise<TransferResult> {
    const place = await this.#options.readRoots.place(command.path, { make: false, orRoot: command.folder === true });
    try {
      if (command.folder === true && (await statPlace(place))?.isDirectory() === true)
        return await (await this.#loadFolders()).send(place, command, signal);
    } catch (error) {
      throw explainAccess(explainDiskError(error, place.path), command.path);
    }
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
      if (command.check !== true) await this.#link.send(command, handle, found.size, signal);
      return { sha256: await digestOf(handle, found.size, signal), sizeBytes: found.size, changed: false };
    } finally {
      await handle.close();
    }
  }

  async #receiveTo(place: Place, command: PushCommand | PushFolderCommand, signal: AbortSignal): Promise<TransferResult> {
    if (command.type === 'push') return this.#receiveFile(place, command, signal);
    return (await this.#loadFolders()).receive(place, command, signal);
  }

  /** Most agents never get a folder: the code for it is loaded with the first one. */
  #loadFolders(): Promise<DeviceFolders> {
    const { dir, unfinishedDir, log } = this.#options;
    this.#folders ??= import('./device-folders.ts').then(
      (code) => new code.DeviceFolders({ link: this.#link, packedDir: join(dir, PACKED_DIR), unfinishedDir, log }),
    );
    return this.#folders;
  }

  async #receiveFile(place: Place, command: PushCommand, signal: AbortSignal): Promise<TransferResult> {
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
    await this.#link.fetch(command, part, { alsoBytes: 0, signal });
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
}

async function setMode(path: string, mode: number): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}
