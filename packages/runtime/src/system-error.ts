import { AppError } from '@selvedge/contract';

/** The `code` of a Node system error (`ENOENT`, `EADDRINUSE`, ...); undefined for anything else, also for an AppError, whose code is ours. */
export function systemErrorCode(error: unknown): string | undefined {
  if (error instanceof AppError) return undefined;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** True when the error says that the disk, the quota or the file-size limit is exhausted. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(systemErrorCode(error) ?? '');
}

/** Turns a full disk into DISK_FULL that names the place; returns every other error as it is. */
export function explainDiskError(error: unknown, path: string): unknown {
  if (!isDiskFull(error)) return error;
  return new AppError(
    'DISK_FULL',
    { message: `No space left while writing ${path}.`, hint: 'Free some space; the work is taken up again by itself.' },
    { cause: error },
  );
}

/** For a file that a user has named. @returns FILE_UNREADABLE (user) with the reason of the system; every other error as it is. */
export function explainUnreadable(error: unknown, path: string): unknown {
  const code = systemErrorCode(error);
  if (code === undefined) return error;
  return new AppError('FILE_UNREADABLE', { message: `${path} could not be read (${code}).` }, { cause: error });
}
