import { AppError, type Client, createClient, type FetchLike } from '@selvedge/contract';
import type { Settings } from './settings.ts';

type RequestBody = string | Uint8Array | AsyncIterable<Uint8Array>;

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function bodyOf(body: unknown): RequestBody {
  if (typeof body === 'string' || body instanceof Uint8Array || isAsyncIterable(body)) return body;
  throw new TypeError('A request body must be text, bytes or an async iterable of bytes.');
}

/** Node's fetch in the form that the contract's client wants. */
const nodeFetch: FetchLike = (url, init) =>
  fetch(url, {
    method: init.method,
    headers: init.headers,
    ...(init.body === undefined ? {} : { body: bodyOf(init.body) }),
    ...(init.duplex === undefined ? {} : { duplex: init.duplex }),
    ...(init.signal instanceof AbortSignal ? { signal: init.signal } : {}),
  });

/** A client of the server that the settings name. */
export function connect(settings: Settings): Client {
  const { serverUrl: baseUrl, token } = settings;
  return createClient({ baseUrl, fetch: nodeFetch, ...(token === undefined ? {} : { token }) });
}

/** The chunks of a streamed response. An answer without a body has none. */
export async function* chunksOf(response: { body: unknown }, baseUrl: string): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  if (!isAsyncIterable(response.body)) throw new TypeError('The response has no readable body.');
  try {
    yield* response.body;
  } catch (cause) {
    throw new AppError(
      'SERVER_UNREACHABLE',
      { message: `The connection to ${baseUrl} broke off.`, hint: 'Call the command again; "selvedge status" tells how the server is.' },
      { cause },
    );
  }
}
