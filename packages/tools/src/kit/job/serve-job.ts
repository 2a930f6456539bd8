import { AppError } from '@selvedge/contract';
import { lockFolder, signalProcessGroup } from '@selvedge/runtime';
import type { FetchSource, Tool, ToolContext } from '../define-tool.ts';
import { endWithTool } from './end-with-tool.ts';
import { type FromJob, receivedError, sendableError, type ToJob, toJobSchema } from './job-messages.ts';

/** How long another process of the same job, which is being ended, may still be there. */
const HANDOVER_MS = 10_000;

interface Call {
  readonly resolve: (answer: ToJob) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The life of a process that makes one artifact for a tool: it is told what to make over IPC, makes it, tells how that went
 * and ends. When the tool's process is gone it ends at once, with every process that it has started.
 */
export async function serveJob(load: (tool: string) => Promise<Tool>): Promise<void> {
  endWithTool();
  const aborted = new AbortController();
  const calls = new Map<number, Call>();
  let isFinished = false;
  process.on('disconnect', () => {
    if (!isFinished) signalProcessGroup(process.pid, 'SIGKILL');
    process.exit(isFinished ? 0 : 1);
  });
  const make = await new Promise<Extract<ToJob, { type: 'make' }>>((resolve) => {
    process.on('message', (raw) => {
      const message = toJobSchema.parse(raw);
      if (message.type === 'make') resolve(message);
      else if (message.type === 'abort') aborted.abort(receivedError(message.error));
      else answer(calls, message);
    });
  });
  let outcome: FromJob;
  try {
    await lockFolder(make.lockFile, {
      waitMs: HANDOVER_MS,
      refusal: (pid) => ({ message: `Process ${pid} still works on this artifact.` }),
    });
    await (await load(make.tool)).create(contextOf(make, aborted.signal, calls));
    outcome = { type: 'done' };
  } catch (error) {
    outcome = { type: 'failed', error: sendableError(error) };
  }
  isFinished = true;
  // The tool looks at what this process has used before it lets it go.
  send(outcome);
}

function send(message: FromJob): void {
  if (process.connected) process.send?.(message);
}

function answer(calls: Map<number, Call>, message: Extract<ToJob, { call: number }>): void {
  const call = calls.get(message.call);
  calls.delete(message.call);
  if (message.type === 'refused') call?.reject(receivedError(message.error));
  else call?.resolve(message);
}

function contextOf(make: Extract<ToJob, { type: 'make' }>, signal: AbortSignal, calls: Map<number, Call>): ToolContext {
  let lastCall = 0;
  const ask = (request: (call: number) => FromJob): Promise<ToJob> =>
    new Promise((resolve, reject) => {
      lastCall += 1;
      calls.set(lastCall, { resolve, reject });
      send(request(lastCall));
    });
  const { parameters, inputs, dataDir, workDir, checkpointDir, cacheDir, attempt } = make;
  return {
    ...{ parameters, inputs, dataDir, workDir, checkpointDir, cacheDir, attempt, signal },
    log: (text) => send({ type: 'log', text }),
    // JSON has no NaN: null stands for it.
    progress: (fraction, message) => send({ type: 'progress', fraction: finite(fraction), ...(message === undefined ? {} : { message }) }),
    metric: (name, step, value) => send({ type: 'metric', name, step, value: finite(value) }),
    fetch: async (name: string, { url, sha256 }: FetchSource) => {
      const source = { url, ...(sha256 === undefined ? {} : { sha256 }) };
      const message = await ask((call) => ({ type: 'fetch', call, name, source }));
      if (message.type !== 'fetched') throw new AppError('INTERNAL', { message: `"${message.type}" is no answer to a fetch.` });
      return message.folder;
    },
    usage: async () => {
      const message = await ask((call) => ({ type: 'usage', call }));
      return message.type === 'usage' ? message.resources : undefined;
    },
  };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
