import { AppError } from '@selvedge/contract';

/** Answers after which the same request may succeed later; any other 4xx stays as it is. */
const PASSING_STATUSES: readonly number[] = [408, 425, 429];
const HINT = 'Check the URL, then add the data again.';

/** A URL for people and logs: without user, password and query, which may hold secrets. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** The error of a source that answered with something else than the data. */
export function downloadRefused(url: string, status: number): AppError {
  return new AppError('DOWNLOAD_FAILED', {
    message: `${shown(url)} answered with HTTP ${status}.`,
    hint: HINT,
    data: { status },
  });
}

/** Whether trying again can help: not after a refusal, a wrong digest, a full disk. */
export function isWorthRetrying(error: unknown): boolean {
  if (!(error instanceof AppError)) return true; // the connection broke off or never was
  if (error.code !== 'DOWNLOAD_FAILED') return false;
  const status = Number(error.details.data?.status);
  return !(status >= 400 && status < 500) || PASSING_STATUSES.includes(status);
}

/** The error that ends the download: our own as it is, with what to do next; anything else as DOWNLOAD_FAILED. */
export function downloadFailed(url: string, error: unknown): AppError {
  if (!(error instanceof AppError))
    return new AppError('DOWNLOAD_FAILED', { message: `${shown(url)} could not be reached.`, hint: HINT }, { cause: error });
  if (error.code !== 'DIGEST_MISMATCH' || error.details.hint !== undefined) return error;
  const hint = 'Nothing of it was kept. Check the URL and --sha256, then add the data again.';
  return new AppError(error.code, { ...error.details, message: `${shown(url)}: ${error.message}`, hint }, { cause: error });
}
