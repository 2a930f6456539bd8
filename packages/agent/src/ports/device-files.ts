import type { Command, TransferResult } from '@selvedge/contract';

export type PushCommand = Extract<Command, { type: 'push' }>;
export type PullCommand = Extract<Command, { type: 'pull' }>;

/** Files of the device that others may read or write, each within the folders that the device allows for it. */
export interface DeviceFiles {
  /**
   * Fetches a file to its place. There it is whole or not at all; what has come in of it is used again by the next try.
   * @throws AppError FORBIDDEN (the path), CONFLICT (something else is there), DISK_FULL, DOWNLOAD_FAILED, the signal's reason.
   */
  receive(command: PushCommand, signal: AbortSignal): Promise<TransferResult>;
  /** Removes what has come in of a file whose transfer was ended. */
  forget(command: PushCommand): Promise<void>;
  /** Sends a file. @throws AppError FORBIDDEN, NOT_FOUND, SERVER_UNREACHABLE, the signal's reason. */
  send(command: PullCommand, signal: AbortSignal): Promise<TransferResult>;
}
