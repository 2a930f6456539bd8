import type { Command, TransferResult } from '@selvedge/contract';

export type PushCommand = Extract<Command, { type: 'push' }>;
export type PushFolderCommand = Extract<Command, { type: 'push-folder' }>;
export type PullCommand = Extract<Command, { type: 'pull' }>;

/** Files and folders of the device that others may read or write, each within the folders that the device allows for it. */
export interface DeviceFiles {
  /**
   * Fetches a file, or a folder, to its place. There it is whole or not at all; what has come in of it is used again by the next try.
   * @throws AppError FORBIDDEN (the path), CONFLICT (something else is there), ARCHIVE_UNSAFE (the archive of a folder), DISK_FULL,
   *   DOWNLOAD_FAILED, the signal's reason.
   */
  receive(command: PushCommand | PushFolderCommand, signal: AbortSignal): Promise<TransferResult>;
  /** Removes what has come in of a file or folder whose transfer was ended. */
  forget(command: PushCommand | PushFolderCommand): Promise<void>;
  /**
   * Sends a file, or a folder where the command takes one.
   * @throws AppError FORBIDDEN, NOT_FOUND, CONFLICT, FILE_UNREADABLE (something in a folder), SERVER_UNREACHABLE, the signal's reason.
   */
  send(command: PullCommand, signal: AbortSignal): Promise<TransferResult>;
}
