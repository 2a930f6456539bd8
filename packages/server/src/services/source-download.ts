import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import type { OpenedSource } from '../ports/object-source.ts';

/** Answers after which the same request may succeed later; any other 4xx stays as it is. */
const PASSING_STATUSES: readonly number[] = [408, 425, 429];
const HINT = 'Check the URL, then add the data again.';

/** A URL for people and logs: without user, password and query, which may hold secrets. */
export function shownSource(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** The error of a source that answered with something else than the data. */
function downloadRefused(url: string, status: number): AppError {
  return new AppError('DOWNLOAD_FAILED', {
    message: `${shownSource(url)} answered with HTTP ${status}.`,
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
export function downloadFailed(shown: string, error: unknown): AppError {
  if (!(error instanceof AppError))
    return new AppError('DOWNLOAD_FAILED', { message: `${shown} could not be reached.`, hint: HINT }, { cause: error });
  if (error.code !== 'DIGEST_MISMATCH' || error.details.hint !== undefined) return error;
  const hint = 'Nothing of it was kept. Check the URL and --sha256, then add the data again.';
  return new AppError(error.code, { ...error.details, message: `${shown}: ${error.message}`, hint }, { cause: error });
}

/**
 * Opens a URL, from an offset where the other side still has the content of that validator.
 *
 * @throws AppError DOWNLOAD_FAILED when it answers with something else than the content.
 */
export async function openUrl(
  url: string,
  from: { offset: number; validator: string } | undefined,
  signal: AbortSignal,
): Promise<OpenedSource> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (from !== undefined) Object.assign(headers, { range: `bytes=${from.offset}-`, 'if-range': from.validator });
  const response = await fetch(url, { headers, signal });
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  const isWhole = response.status === 416 && from !== undefined && response.headers.get('content-range') === `bytes */${from.offset}`;
  if (isWhole) {
    await response.body?.cancel();
    return { offset: from.offset, totalBytes: from.offset, validator: from.validator, body: Readable.from([]) };
  }
  if (!response.ok || response.body === null || (response.status === 206 && range === null)) {
    await response.body?.cancel();
    throw downloadRefused(url, response.status);
  }
  const length = response.headers.get('content-length');
  const total = response.status === 206 ? range?.[2] : length;
  return {
    offset: response.status === 206 ? Number(range?.[1]) : 0,
    totalBytes: total === undefined || total === null || total === '*' ? undefined : Number(total),
    validator: strongValidator(response.headers.get('etag')) ?? response.headers.get('last-modified'),
    body: Readable.fromWeb(response.body),
  };
}

/** A weak ETag says that two contents mean the same, not that their bytes are equal. */
function strongValidator(etag: string | null): string | null {
  return etag === null || etag.startsWith('W/') ? null : etag;
}
