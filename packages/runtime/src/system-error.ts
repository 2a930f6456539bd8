import { AppError } from '@selvedge/contract';

/** The `code` of a Node system error (`ENOENT`, `EADDRINUSE`, ...); undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
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
