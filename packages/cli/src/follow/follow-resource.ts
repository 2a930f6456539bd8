import { type AnyResource, AppError, type Client, type MetricPoint, serverEventSchema } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { chunksOf } from '../connect.ts';
import { parseServerSentEvents } from './server-sent-events.ts';

export interface FollowOptions<T> {
  readonly client: Client;
  readonly serverUrl: string;
  /** What the stream is asked for: kinds of resources, `metric`, `module`. */
  readonly topics: readonly string[];
  /** Reads the resource afresh. */
  readonly read: () => Promise<T>;
  /** The resource, when the event is about it. */
  readonly pick: (resource: AnyResource) => T | undefined;
  /** Called with every state that is seen; a late duplicate may follow a newer one. */
  readonly onState: (state: T) => void;
  readonly isFinal: (state: T) => boolean;
  readonly onMetrics?: (run: string, points: readonly MetricPoint[]) => void;
  /** The server does not answer; it is asked again. */
  readonly onLost?: () => void;
  readonly signal: AbortSignal;
  /** How long a server may be away before the following gives up; default one minute. */
  readonly patienceMs?: number;
}

/** Between two questions while the event stream is not to be had. */
const POLL_MS = 1000;
/** Between two questions while it is: an event may be lost when the server restarts behind a proxy. */
const CHECK_MS = 5000;

function isTemporary(error: unknown): boolean {
  return error instanceof AppError && error.retryable && error.code !== 'INTERRUPTED';
}

/** Reads until an answer comes; a server that is away for longer than the patience is an error. */
async function readPatiently<T>(options: FollowOptions<T>): Promise<T> {
  const deadline = performance.now() + (options.patienceMs ?? 60_000);
  for (;;) {
    try {
      return await options.read();
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isTemporary(error) || performance.now() >= deadline) throw error;
      options.onLost?.();
      await sleep(POLL_MS, options.signal);
    }
  }
}

/** Undefined when the stream is not to be had, for whatever reason: asking does without it, and tells what is wrong. */
async function openStream<T>(options: FollowOptions<T>, signal: AbortSignal): Promise<{ body: unknown } | undefined> {
  try {
    return await options.client.stream('streamEvents', { query: { kinds: options.topics.join(',') }, signal });
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

/** Hands on what the stream tells until it ends or the final state is seen. */
async function consume<T>(options: FollowOptions<T>, signal: AbortSignal): Promise<T | undefined> {
  const response = await openStream(options, signal);
  if (response === undefined) return undefined;
  // What happened before the stream was open is in the resource itself.
  const current = await options.read();
  options.onState(current);
  if (options.isFinal(current)) return current;
  for await (const { data } of parseServerSentEvents(chunksOf(response, options.serverUrl))) {
    const event = serverEventSchema.safeParse(JSON.parse(data));
    if (!event.success) continue; // an event of a newer server that this command does not need
    if (event.data.type === 'metric') options.onMetrics?.(event.data.run, event.data.points);
    if (event.data.type !== 'resource' || event.data.action !== 'written') continue;
    const state = options.pick(event.data.resource);
    if (state === undefined) continue;
    options.onState(state);
    if (options.isFinal(state)) return state;
  }
  return undefined;
}

/** Asks at intervals, in case the stream stays silent. */
async function check<T>(options: FollowOptions<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    await sleep(CHECK_MS, signal);
    const state = await options.read();
    options.onState(state);
    if (options.isFinal(state)) return state;
  }
}

/** Follows by the event stream; undefined when that broke off. */
async function followStream<T>(options: FollowOptions<T>): Promise<T | undefined> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const parts = [consume(options, signal), check(options, signal)];
  try {
    return await Promise.race(parts);
  } catch (error) {
    options.signal.throwIfAborted();
    if (isTemporary(error)) return undefined;
    throw error;
  } finally {
    ended.abort();
    await Promise.allSettled(parts); // both end with the abort; what they say then is of no interest
  }
}

/**
 * Follows a resource until its final state: by the server's event stream, by asking every second while there is none.
 * A server that restarts meanwhile is waited for.
 *
 * @returns the final state.
 * @throws AppError as `read` does; SERVER_UNREACHABLE when the server stays away; the signal's reason when aborted.
 */
export async function followResource<T>(options: FollowOptions<T>): Promise<T> {
  for (;;) {
    const state = await readPatiently(options);
    options.onState(state);
    if (options.isFinal(state)) return state;
    const final = await followStream(options);
    if (final !== undefined) return final;
    await sleep(POLL_MS, options.signal);
  }
}
