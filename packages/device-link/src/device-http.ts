import type { IncomingMessage, RequestOptions } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError, type DeltaOffer, deltaOfferSchema, fromProblem, problemSchema } from '@selvedge/contract';
import { type DownloadResponse, readBounded } from '@selvedge/runtime';
import type { ServerAccess } from './server-access.ts';
import { connectToServer } from './server-check.ts';

/** Silence after which a call is given up. */
const IDLE_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 256 * 1024;

/**
 * Sends a request to the device port.
 *
 * @param body - text, or content that is read as fast as it can be sent.
 * @throws AppError SERVER_UNREACHABLE (operational); SERVER_IDENTITY_MISMATCH (user); what the content throws; the signal's reason when
 *   aborted.
 */
export async function openRequest(
  access: ServerAccess,
  options: RequestOptions,
  body?: string | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  // Nothing is sent before it is known who is at the other end.
  const socket = await connectToServer(access, signal);
  // Loaded with the first call only: an agent that has nothing to fetch does without HTTP.
  const { request } = await import('node:http');
  const { host, port, onServerTime } = access;
  return new Promise((resolve, reject) => {
    const call = request(
      { host, port, createConnection: () => socket, ...options, ...(signal === undefined ? {} : { signal }) },
      (response: IncomingMessage) => {
        response.setTimeout(IDLE_TIMEOUT_MS, () => response.destroy(new Error(`no data for ${IDLE_TIMEOUT_MS / 1000} s`)));
        const atMs = Date.parse(response.headers.date ?? '');
        if (!Number.isNaN(atMs)) onServerTime?.(atMs);
        resolve(response);
      },
    );
    call.setTimeout(IDLE_TIMEOUT_MS, () => call.destroy(new Error(`no answer for ${IDLE_TIMEOUT_MS / 1000} s`)));
    call.on('error', (cause) => {
      // Nobody catches what an event's listener throws: the reason of an abort has to go through the promise as well.
      if (signal?.aborted === true) return reject(signal.reason);
      if (cause instanceof AppError) return reject(cause);
      reject(new AppError('SERVER_UNREACHABLE', { message: `The server at ${host}:${port} did not answer: ${cause.message}` }, { cause }));
    });
    if (body === undefined || typeof body === 'string') call.end(body);
    else pipeline(Readable.from(body), call).catch((error: unknown) => call.destroy(error instanceof Error ? error : undefined));
  });
}

/** The body of an answer, which must be small. */
export async function readText(response: IncomingMessage): Promise<string> {
  return (await readBounded(response, MAX_ANSWER_BYTES, 'The answer of the server is too large.')).toString('utf8');
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const answer = await readText(response);
  let value: unknown;
  try {
    value = JSON.parse(answer);
  } catch (cause) {
    throw new AppError('SERVER_UNREACHABLE', { message: `The server answered HTTP ${response.statusCode} without JSON.` }, { cause });
  }
  if (response.statusCode !== undefined && response.statusCode < 300) return value;
  const problem = problemSchema.safeParse(value);
  if (problem.success) throw fromProblem(problem.data);
  throw new AppError('SERVER_UNREACHABLE', { message: `The server answered HTTP ${response.statusCode}.` });
}

/**
 * Posts JSON to the device port and returns the parsed answer.
 *
 * @throws AppError the one that the server answered with; SERVER_UNREACHABLE (operational) when it did not;
 *   SERVER_IDENTITY_MISMATCH (user).
 */
export async function postJson(access: ServerAccess, path: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return readJson(await openRequest(access, { method: 'POST', path, headers }, text, signal));
}

/** As `postJson`, for what is only read. */
export async function getJson(access: ServerAccess, path: string, signal?: AbortSignal): Promise<unknown> {
  return readJson(await openRequest(access, { method: 'GET', path }, undefined, signal));
}

/**
 * Asks how to make a blob of one that the device has. @param from - digests of those, the likeliest first.
 *
 * @returns undefined when it is to be fetched whole; also from a server that knows no patches.
 * @throws AppError as {@link getJson} does.
 */
export function askDelta(
  access: ServerAccess,
  sha256: string,
  from: readonly string[],
  signal?: AbortSignal,
): Promise<DeltaOffer | undefined> {
  return askOffer(access, `/device/v1/deltas/${sha256}?from=${from.join(',')}`, signal);
}

/** As {@link askDelta}, of native packages, each named by the digest of its manifest. */
export function askPackageDelta(
  access: ServerAccess,
  manifestSha256: string,
  from: readonly string[],
  signal?: AbortSignal,
): Promise<DeltaOffer | undefined> {
  return askOffer(access, `/device/v1/package-deltas/${manifestSha256}?from=${from.join(',')}`, signal);
}

async function askOffer(access: ServerAccess, path: string, signal: AbortSignal | undefined): Promise<DeltaOffer | undefined> {
  try {
    return deltaOfferSchema.parse(await getJson(access, path, signal));
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** Opens a blob from this byte on. */
export async function openBlob(access: ServerAccess, sha256: string, offset: number, signal?: AbortSignal): Promise<DownloadResponse> {
  const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
  const response = await openRequest(access, { method: 'GET', path: `/device/v1/blobs/${sha256}`, headers }, undefined, signal);
  return { status: response.statusCode ?? 0, headers: response.headers, body: response };
}
