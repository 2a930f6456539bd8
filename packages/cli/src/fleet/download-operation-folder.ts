import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { AppError, type OperationDevice } from '@selvedge/contract';
import { explainDiskError, systemErrorCode } from '@selvedge/runtime';
import { besideOf, type FolderPlace, holdsFolder, replaceFolder, settlePlace, unpackFolder } from '@selvedge/runtime/folder-archive';
import type { Session } from '../session.ts';
import { downloadOperationFile } from './download-operation-file.ts';

const READ_BYTES = 256 * 1024;

/**
 * Fetches a folder that a device has sent. It appears under its name whole; one that is there already is not fetched.
 *
 * @param options.replace - also in the place of a folder with something else in it.
 * @throws AppError CONFLICT (user) for what is not replaced; ARCHIVE_UNSAFE (user) when the device has sent something that is no
 *   folder; as `downloadOperationFile`.
 */
export async function downloadOperationFolder(
  session: Session,
  sent: { operation: string; device: string; file: NonNullable<OperationDevice['file']> },
  destination: string,
  options: { replace: boolean },
): Promise<void> {
  const { operation, device, file } = sent;
  const { signal, cwd } = session.io;
  const target = await realpath(destination).catch(() => destination);
  const place: FolderPlace = { folder: dirname(target), name: basename(target) };
  try {
    await mkdir(place.folder, { recursive: true });
    await settlePlace(place); // one that was killed midway
    if (await holdsFolder(target, file, { signal })) return;
    await refuseToReplace(target, cwd, options.replace);
    const archive = besideOf(place, 'tar');
    await downloadOperationFile(session, operation, device, file, archive);
    await unpackTo(place, archive, file.sizeBytes, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = explainDiskError(thrown, destination);
    if (error instanceof AppError) throw error;
    throw new AppError('FILE_UNREADABLE', { message: `${destination} could not be written.` }, { cause: error });
  }
}

async function unpackTo(place: FolderPlace, archive: string, maxBytes: number, signal: AbortSignal): Promise<void> {
  const content = createReadStream(archive, { highWaterMark: READ_BYTES });
  try {
    await unpackFolder(content, besideOf(place, 'new'), { signal, maxBytes });
    await replaceFolder(place);
  } catch (error) {
    await settlePlace(place);
    throw error;
  } finally {
    content.destroy();
    await rm(archive, { force: true });
  }
}

/** What somebody has here is not taken away by a folder that only has its name. */
async function refuseToReplace(target: string, cwd: string, replace: boolean): Promise<void> {
  const found = await lstat(target).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
  if (found === undefined) return;
  if (!found.isDirectory()) throw new AppError('CONFLICT', { message: `${target} is not a folder; what the device has is one.` });
  if (cwd === target || cwd.startsWith(join(target, sep)))
    throw new AppError('CONFLICT', {
      message: `${target} is the folder in which this runs, and is not replaced.`,
      hint: 'With a slash at its end (./), the folder of the device goes into it.',
    });
  if (!replace && (await readdir(target)).length > 0)
    throw new AppError('CONFLICT', {
      message: `${target} is there with something else in it.`,
      hint: '--replace replaces it as a whole; with a slash at its end, the folder of the device goes into it.',
    });
}
