import type * as z from 'zod';
import { AppError } from '../errors.ts';
import { fromProblem, problemSchema } from '../problem.ts';
import { ROUTES, type Route, type RouteName } from './routes.ts';

/** The part of `fetch` that the client needs: it runs in Node and in browsers and names neither's types. */
export interface FetchResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  json(): Promise<unknown>;
  text(): Promise<string>;
  readonly body: unknown;
}
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: unknown;
  signal?: unknown;
  duplex?: 'half';
}
export type FetchLike = (url: string, init: FetchInit) => Promise<FetchResponse>;

export interface ClientOptions {
  /** Like `http://127.0.0.1:7070`; empty for same origin. */
  baseUrl: string;
  token?: string;
  fetch: FetchLike;
}

type In<R, K extends string> = K extends keyof R ? (R[K] extends z.ZodType ? z.input<R[K]> : never) : never;
type Field<R, K extends string, N extends string> = K extends keyof R ? { [P in N]: In<R, K> } : unknown;
type OptionalField<R, K extends string> = K extends keyof R ? { [P in K]?: In<R, K> } : unknown;
type Upload<R> = R extends { upload: string } ? { upload: unknown; contentType?: string } : unknown;

export type CallInput<R extends Route> = Field<R, 'params', 'params'> &
  OptionalField<R, 'query'> &
  Field<R, 'body', 'body'> &
  Upload<R> & { signal?: unknown };
export type CallOutput<R extends Route> = R extends { response: infer S extends z.ZodType } ? z.output<S> : undefined;
type Args<R extends Route> = unknown extends Field<R, 'params', 'params'> & Field<R, 'body', 'body'> & Upload<R>
  ? [input?: CallInput<R>]
  : [input: CallInput<R>];

export type Client = { [K in RouteName]: (...args: Args<(typeof ROUTES)[K]>) => Promise<CallOutput<(typeof ROUTES)[K]>> } & {
  /** The raw response, for routes that stream (`download`). Errors are thrown as AppError just the same. */
  stream<K extends RouteName>(routeName: K, ...args: Args<(typeof ROUTES)[K]>): Promise<FetchResponse>;
};

interface AnyInput {
  params?: Record<string, unknown>;
  query?: Record<string, unknown>;
  body?: unknown;
  upload?: unknown;
  contentType?: string;
  signal?: unknown;
}

/** Fills `{name}` in a route's path, percent-encoded, and appends the query. */
export function routeUrl(route: Route, input: { params?: Record<string, unknown>; query?: Record<string, unknown> }): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(String(input.params?.[key] ?? '')));
  const query = Object.entries(input.query ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
    .join('&');
  return query === '' ? path : `${path}?${query}`;
}

async function send(options: ClientOptions, route: Route, input: AnyInput): Promise<FetchResponse> {
  const headers: Record<string, string> = {};
  if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`;
  const init: FetchInit = { method: route.method, headers };
  if (route.body !== undefined) {
    headers['content-type'] = 'application/json';
    init.body = JSON.stringify(input.body ?? {});
  } else if (route.upload !== undefined) {
    headers['content-type'] = input.contentType ?? route.upload;
    init.body = input.upload;
    init.duplex = 'half';
  }
  if (input.signal !== undefined) init.signal = input.signal;
  let response: FetchResponse;
  try {
    response = await options.fetch(options.baseUrl + routeUrl(route, input), init);
  } catch (cause) {
    throw new AppError(
      'SERVER_UNREACHABLE',
      {
        message: `No answer from ${options.baseUrl === '' ? 'the server' : options.baseUrl}.`,
        hint: 'Is the server up? "selvedge up" starts one.',
      },
      { cause },
    );
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response: FetchResponse): Promise<AppError> {
  const body = await response.text();
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined; // not ours: a proxy in between answered; its status is all there is to tell
  }
  const problem = problemSchema.safeParse(parsed);
  if (problem.success) return fromProblem(problem.data);
  return new AppError('SERVER_UNREACHABLE', { message: `The server answered with HTTP ${response.status}.` });
}

/**
 * A typed client of the REST API: one method per entry of ROUTES. Responses are checked against their schema.
 *
 * @throws AppError with the server's code; SERVER_UNREACHABLE (operational) when there is no answer.
 */
export function createClient(options: ClientOptions): Client {
  const call = async (route: Route, input: AnyInput = {}): Promise<unknown> => {
    const response = await send(options, route, input);
    if (route.response === undefined) return undefined;
    return route.response.parse(await response.json());
  };
  const methods = Object.fromEntries(Object.entries(ROUTES).map(([key, route]) => [key, (input?: AnyInput) => call(route, input)]));
  const stream = (routeName: RouteName, input: AnyInput = {}) => send(options, ROUTES[routeName], input);
  return { ...methods, stream } as Client;
}
