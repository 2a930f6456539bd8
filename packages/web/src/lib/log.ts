import { type Client, deviceLogEventSchema } from '@selvedge/contract';
import { useEffect, useMemo, useState } from 'react';
import { useBackend } from './queries.ts';

/** Lines kept in the page; the whole log is one download away. */
export const MAX_LOG_LINES = 3000;

export interface LogState {
  readonly lines: readonly string[];
  /** `reading` until the server has closed the stream: the step is finished then. */
  readonly phase: 'reading' | 'ended' | 'broken';
  readonly error?: unknown;
  /** Lines dropped from the front. */
  readonly dropped: number;
}

const EMPTY: LogState = { lines: [], phase: 'reading', dropped: 0 };

/** Adds text to lines; the last line may be unfinished, and is continued by the next text. */
export function appendText(state: LogState, rest: string, text: string): { state: LogState; rest: string } {
  const parts = (rest + text).split(/\r?\n/);
  const nextRest = parts.pop() ?? '';
  if (parts.length === 0) return { state, rest: nextRest };
  const lines = [...state.lines, ...parts];
  const excess = Math.max(0, lines.length - MAX_LOG_LINES);
  return { state: { ...state, lines: lines.slice(excess), dropped: state.dropped + excess }, rest: nextRest };
}

/** Follows the log of a step (of the whole run without one) until it ends or the component goes. */
export function useRunLog(run: string, step: string | undefined, attempt: number): LogState {
  const query = step === undefined ? { follow: '1' as const } : { follow: '1' as const, step };
  // A new attempt of a step writes a new log.
  return useLog(`run ${run} ${step} ${attempt}`, (client, signal) => client.stream('getRunLog', { params: { name: run }, query, signal }));
}

/** Follows the log of a package's build. @param build - changes when it is built anew. */
export function usePackageLog(name: string, build: string): LogState {
  return useLog(`package ${name} ${build}`, (client, signal) =>
    client.stream('getPackageLog', { params: { name }, query: { follow: '1' }, signal }),
  );
}

/** Follows the log of a device's agent, or of a workload on it, read from the device itself. */
export function useDeviceLog(device: string, workload: string | undefined): LogState {
  const query = { follow: '1' as const, tail: 500, ...(workload === undefined ? {} : { workload }) };
  const log = useLog(`device ${device} ${workload}`, (client, signal) =>
    client.stream('getDeviceLogs', { params: { name: device }, query, signal }),
  );
  return useMemo(() => ({ ...log, lines: log.lines.map(deviceLineText) }), [log]);
}

function deviceLineText(line: string): string {
  const event = deviceLogEventSchema.safeParse(JSON.parse(line));
  if (!event.success) return line; // of a newer server
  if (event.data.type === 'gap') return '(lines in between are no longer on the device)';
  return `${event.data.at.slice(0, 19).replace('T', ' ')}  ${event.data.text}`;
}

/** Follows a log that a tool serves. @param key - says which one it is. */
export function useToolLog(key: string, open: (signal: AbortSignal) => Promise<LogResponse>): LogState {
  return useLog(`tool ${key}`, (_client, signal) => open(signal));
}

type OpenLog = (client: Client, signal: AbortSignal) => Promise<LogResponse>;
type LogResponse = Pick<Awaited<ReturnType<Client['stream']>>, 'body'>;

/** @param key - says which log it is: another one is read from its start. */
function useLog(key: string, open: OpenLog): LogState {
  const { client } = useBackend();
  const [state, setState] = useState<LogState>(EMPTY);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `open` is another function at every turn, and opens the log that `key` names
  useEffect(() => {
    const stop = new AbortController();
    setState(EMPTY);
    const update = (change: (old: LogState) => LogState) => setState((old) => change(old));
    open(client, stop.signal)
      .then((response) => follow(response, stop.signal, update))
      .catch((error: unknown) => {
        if (!stop.signal.aborted) setState((old) => ({ ...old, phase: 'broken', error }));
      });
    return () => stop.abort();
  }, [client, key]);
  return state;
}

async function follow(response: LogResponse, signal: AbortSignal, update: (change: (old: LogState) => LogState) => void): Promise<void> {
  let rest = '';
  if (response.body instanceof ReadableStream) {
    const reader: ReadableStreamDefaultReader<string> = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const text = chunk.value;
      const before = rest;
      rest = appendText(EMPTY, before, text).rest;
      if (signal.aborted) return;
      update((old) => appendText(old, before, text).state);
    }
  }
  const last = rest;
  update((old) => ({ ...old, lines: last === '' ? old.lines : [...old.lines, last], phase: 'ended' }));
}
