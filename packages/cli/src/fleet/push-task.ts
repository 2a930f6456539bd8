import type { OperationTask } from '@selvedge/contract';
import type { Session } from '../session.ts';
import { uploadFile } from './upload-file.ts';

export interface PushRequest {
  /** A file or a folder here. */
  readonly source: string;
  /** On the devices; with a slash at its end, the source goes into it. */
  readonly destination: string;
  /** Under which name it goes into a destination; default: its own. */
  readonly name?: string | undefined;
  /** Permissions of the file, or of all files of the folder. */
  readonly mode?: number | undefined;
  readonly limitBytesPerS?: number | undefined;
  readonly check?: boolean | undefined;
}

/** Brings a file or a folder to the server. @returns what to ask of devices that are to have it. @throws AppError as `uploadFile`. */
export async function pushTask(session: Session, request: PushRequest): Promise<Extract<OperationTask, { type: 'push' | 'push-folder' }>> {
  const { source, destination, mode, limitBytesPerS, check } = request;
  const uploaded = await uploadFile(session, source, mode);
  const file = { ...uploaded, name: request.name ?? uploaded.name };
  const path = destination.endsWith('/') ? destination + file.name : destination;
  const common = { file, path, ...(limitBytesPerS === undefined ? {} : { limitBytesPerS }), ...(check === undefined ? {} : { check }) };
  if (file.folder === true) return { type: 'push-folder', ...common };
  return { type: 'push', ...common, ...(mode === undefined ? {} : { mode }) };
}
