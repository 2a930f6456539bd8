import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, type ErrorCode, isErrorCode } from '@selvedge/contract';
import { type Backoff, backoffDelayMs, sleep } from '@selvedge/runtime';
import { isFileSystemError } from './archive/archive-guard.ts';
import { unpackZip } from './archive/unpack-zip.ts';
import type { FetchSource } from './define-tool.ts';

export interface FetchPolicy {
  /** Sent as a bearer token to the trusted origins and to nobody else, also not after a redirect. */
  readonly token: string;
  /** `http://127.0.0.1:7070`, ... */
  readonly trustedOrigins: ReadonlySet<string>;
  /** Tries in all on errors that may pass. */
  readonly attempts: number;
  readonly backoff: Backoff;
  /** A response that stalls for so long counts as broken. */
  readonly idleTimeoutMs: number;
  readonly maxBytes: number;
}

export const DEFAULT_FETCH_POLICY = {
  attempts: 6,
  backoff: { baseMs: 250, maxMs: 8000 },
  idleTimeoutMs: 60_000,
  maxBytes: 256 * 1024 ** 3,
} as const;

export interface FetchContext {
  readonly signal: AbortSignal;
  log(text: string): void;
}

const MAX_REDIRECTS = 5;
const TRANSIENT_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A failure that may pass by itself; only these are tried again. */
class TransientError extends Error {}

/**
 * Fetches one input into `folder`: a zip is unpacked, anything else becomes one file under its own name. Streams, so
 * memory stays flat whatever the size.
 *
 * @throws AppError DOWNLOAD_FAILED (operational) after the last try; REFERENCE_MISSING, FORBIDDEN (user) when the other
 * side says so; DIGEST_MISMATCH; ARCHIVE_UNSAFE; PAYLOAD_TOO_LARGE; INPUT_INVALID for another scheme than http(s).
 */
export async function fetchInput(source: FetchSource, folder: string, policy: FetchPolicy, ctx: FetchContext): Promise<void> {
  const part = `${folder}.part`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { fileName, isZip, sha256 } = await download(source.url, part, policy, ctx.signal);
      if (source.sha256 !== undefined && sha256 !== source.sha256) {
        throw new AppError('DIGEST_MISMATCH', {
          message: `${shownUrl(source.url)} has sha256 ${sha256}, expected ${source.sha256}.`,
          hint: 'Check the digest, or whether the file has been changed since.',
        });
      }
      if (isZip) await unpackZip(part, folder, ctx.signal);
      else {
        await mkdir(folder, { recursive: true });
        await rename(part, join(folder, fileName));
      }
      await rm(part, { force: true });
      return;
    } catch (error) {
      await rm(part, { force: true });
      ctx.signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      if (attempt >= policy.attempts) {
        throw new AppError(
          'DOWNLOAD_FAILED',
          { message: `${shownUrl(source.url)}: ${error.message} (${attempt} tries).` },
          { cause: error.cause },
        );
      }
      ctx.log(`${shownUrl(source.url)}: ${error.message}; trying again`);
      await sleep(backoffDelayMs(attempt, policy.backoff), ctx.signal);
    }
  }
}

interface Downloaded {
  fileName: string;
  isZip: boolean;
  sha256: string;
}

async function download(url: string, part: string, policy: FetchPolicy, signal: AbortSignal): Promise<Downloaded> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), policy.idleTimeoutMs);
  try {
    const response = await request(url, policy, AbortSignal.any([signal, idle.signal]));
    await refuseStatus(response, url);
    const hash = createHash('sha256');
    let bytes = 0;
    const measured = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        timer.refresh();
        bytes += chunk.length;
        if (bytes > policy.maxBytes) {
          throw new AppError('PAYLOAD_TOO_LARGE', { message: `${shownUrl(url)} is larger than ${policy.maxBytes} bytes.` });
        }
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(response.body === null ? Readable.from([]) : Readable.fromWeb(response.body), measured, createWriteStream(part), {
      signal,
    });
    const fileName = nameOf(response);
    const isZip = response.headers.get('content-type')?.startsWith('application/zip') === true || fileName.toLowerCase().endsWith('.zip');
    return { fileName, isZip, sha256: hash.digest('hex') };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError || error instanceof TransientError || isFileSystemError(error)) {
      if (!isNetworkError(error)) throw error;
    }
    const reason = idle.signal.aborted ? `no data for ${policy.idleTimeoutMs / 1000} s` : reasonOf(error);
    throw new TransientError(reason, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** fetch with own redirects, because the token must be decided anew for each origin. */
async function request(url: string, policy: FetchPolicy, signal: AbortSignal): Promise<Response> {
  let target = new URL(url);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    if (target.protocol !== 'http:' && target.protocol !== 'https:') {
      throw new AppError('INPUT_INVALID', { message: `Inputs are fetched by http or https, not ${target.protocol}` });
    }
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (policy.trustedOrigins.has(target.origin)) headers.authorization = `Bearer ${policy.token}`;
    const response = await fetch(target, { redirect: 'manual', headers, signal });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    target = new URL(location, target);
  }
  throw new AppError('DOWNLOAD_FAILED', { message: `${shownUrl(url)} redirects more than ${MAX_REDIRECTS} times.` });
}

async function refuseStatus(response: Response, url: string): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  if (TRANSIENT_STATUS.has(response.status)) throw new TransientError(`answered ${response.status}`);
  const codes: Record<number, ErrorCode> = { 401: 'FORBIDDEN', 403: 'FORBIDDEN', 404: 'REFERENCE_MISSING', 410: 'REFERENCE_MISSING' };
  const code = codes[response.status] ?? 'DOWNLOAD_FAILED';
  throw new AppError(isErrorCode(code) ? code : 'DOWNLOAD_FAILED', { message: `${shownUrl(url)} answered ${response.status}.` });
}

/** System errors of a socket, as opposed to those of a file. */
function isNetworkError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'].includes(String(code));
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says "fetch failed"; what happened is in the cause.
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** File name from Content-Disposition or the last part of the URL, without anything that could be a path. */
function nameOf(response: Response): string {
  const header = /filename="([^"]*)"/.exec(response.headers.get('content-disposition') ?? '')?.[1];
  const last = new URL(response.url).pathname.split('/').at(-1);
  return safeFileName(header ?? last ?? '');
}

/** A name that is only a name: no separators, no control characters, not hidden, at most 128 characters. */
export function safeFileName(name: string): string {
  const base = name.split(/[\\/]/).at(-1) ?? '';
  const safe = base
    .replace(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/^\.+/, '')
    .slice(-128);
  return safe === '' ? 'file' : safe;
}

/** A URL for messages: no credentials, no query (it may hold a signature). */
export function shownUrl(url: string): string {
  const parsed = new URL(url);
  return `${parsed.origin}${parsed.pathname}`;
}
