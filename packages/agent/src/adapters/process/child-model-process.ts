import type { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { AppError, fromProblem, type InferResult, inferResultSchema, isErrorCode, problemSchema } from '@selvedge/contract';
import { type Logger, timeoutSignal } from '@selvedge/runtime';
import { fromModelServerSchema, type ToModelServer } from '../../domain/model-process-messages.ts';
import { stopReading } from '../../model-server/detach-connection.ts';
import type { LivenessLimits, ModelProcess, ProcessEnd } from '../../ports/model-process.ts';
import { askLocal } from './local-http.ts';

export const DEFAULT_LIVENESS: LivenessLimits = {
  pingEveryMs: 10_000,
  pingTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  readyTimeoutMs: 60_000,
};

const INFER_TIMEOUT_MS = 30_000;
const READ_TIMEOUT_MS = 2000;

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused by the schema that follows
  }
}

function describeEnd(end: ProcessEnd): string {
  return end.signal === null ? `exit code ${end.code ?? 'unknown'}` : `signal ${end.signal}`;
}

/** A model server in a child process. It is watched by pings over IPC, which cost next to nothing when it is idle. */
export class ChildModelProcess implements ModelProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #usual: LivenessLimits;
  #limits: LivenessLimits;
  readonly #log: Logger;
  readonly exited: Promise<ProcessEnd>;
  #port: number | undefined;
  #ready = false;
  #drained = false;
  #failure: AppError | undefined;
  #killedFor: string | undefined;
  #ended: ProcessEnd | undefined;
  #pingTimer: NodeJS.Timeout | undefined;
  #pongTimer: NodeJS.Timeout | undefined;
  /** Connections that it has not been given yet. */
  readonly #handing = new Set<Socket>();
  #takeBack: ((connection: Socket) => void) | undefined;
  /** Called at every message and at the end; each looks whether what it waits for is there. */
  readonly #watchers = new Set<() => void>();

  constructor(child: ChildProcess, name: string, limits: LivenessLimits, log: Logger) {
    this.#child = child;
    this.#name = name;
    this.#usual = limits;
    this.#limits = limits;
    this.#log = log;
    child.stdin?.on('error', () => undefined); // it closed its end first; its exit tells
    child.on('message', (message, handle) => this.#receive(message, handle));
    this.exited = new Promise((resolve) => {
      const onEnd = (code: number | null, signal: string | null) => {
        if (this.#ended !== undefined) return;
        this.#ended = { code, signal, reason: this.#killedFor ?? null };
        clearTimeout(this.#pingTimer);
        clearTimeout(this.#pongTimer);
        // Node hands over one after the other: what a process that hung had not taken would stay open for ever.
        for (const connection of this.#handing) connection.destroy();
        this.#handing.clear();
        this.#notify();
        resolve(this.#ended);
      };
      child.on('exit', onEnd);
      child.on('error', (error) => {
        log.error('the model server could not be started or told something', { workload: name, error: error.message });
        if (child.pid === undefined) onEnd(null, null);
      });
    });
  }

  /** Resolves when the private port answers; a process of which it does not is ended. */
  async listening(signal: AbortSignal): Promise<void> {
    try {
      await this.#until(() => this.#port !== undefined, signal);
    } catch (error) {
      await this.stop(0);
      throw error;
    }
    this.#schedulePing();
  }

  async probe(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#ready, signal);
    const answer = await this.#ask({ method: 'GET', path: '/v2/health/ready', timeoutMs: 10_000, signal });
    if (answer.status !== 200)
      throw new AppError('WORKLOAD_FAILED', { message: `The model server is not ready: ${answer.text.slice(0, 500)}` });
  }

  hand(connection: Socket, isKept = false): void {
    this.#tell({ type: 'connection', ...(isKept ? { kept: true } : {}) }, connection);
  }

  onGivenBack(take: (connection: Socket) => void): void {
    this.#takeBack = take;
  }

  get port(): number | undefined {
    return this.#ended === undefined ? this.#port : undefined;
  }

  release(): void {
    this.#tell({ type: 'drain', giveBack: true });
  }

  resume(): void {
    this.#drained = false;
    // A native package of before says that it does not know this, and goes on to close each connection after one request.
    this.#tell({ type: 'resume' });
  }

  watchClosely(limits: Partial<LivenessLimits> | null): void {
    this.#limits = { ...this.#usual, ...limits };
    if (this.#port === undefined || this.#ended !== undefined) return;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#schedulePing();
  }

  async read(path: string): Promise<string> {
    const { status, text } = await this.#ask({ method: 'GET', path, timeoutMs: READ_TIMEOUT_MS });
    if (status === 200) return text;
    throw new AppError('WORKLOAD_FAILED', { message: `The model server answered HTTP ${status} for ${path}.` });
  }

  async rssBytes(): Promise<number | null> {
    if (this.#ended !== undefined || this.#child.pid === undefined) return null;
    const { readFile } = await import('node:fs/promises');
    const text = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => ''); // not Linux, or just ended
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
    return Number.isFinite(kib) ? kib * 1024 : null;
  }

  async drain(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    this.#drained = false;
    this.#tell({ type: 'drain', giveBack: true });
    try {
      await this.#until(() => this.#drained, timeoutSignal(timeoutMs, signal));
    } catch (error) {
      if (signal?.aborted === true) return;
      if (this.#ended === undefined)
        this.#log.warn('a model server did not finish its requests in time', { workload: this.#name, error: String(error) });
    }
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(killer);
  }

  async infer(contentType: string, body: Uint8Array): Promise<InferResult> {
    const answer = await this.#ask({ method: 'POST', path: '/v1/infer', contentType, body, timeoutMs: INFER_TIMEOUT_MS });
    const value = parseAnswer(answer.text);
    if (answer.status === 200) {
      const result = inferResultSchema.safeParse(value);
      if (result.success) return result.data;
    }
    const problem = problemSchema.safeParse(value);
    if (problem.success) throw fromProblem(problem.data);
    throw new AppError('WORKLOAD_FAILED', { message: `The model server answered HTTP ${answer.status}.` });
  }

  async #ask(options: Parameters<typeof askLocal>[1]) {
    if (this.#port === undefined || this.#ended !== undefined)
      throw new AppError('WORKLOAD_FAILED', { message: 'The model server is not running.' });
    try {
      return await askLocal(this.#port, options);
    } catch (cause) {
      options.signal?.throwIfAborted();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('WORKLOAD_FAILED', { message: `The model server did not answer: ${reason}` }, { cause });
    }
  }

  #tell(message: ToModelServer, connection?: Socket): void {
    if (!this.#child.connected) {
      connection?.destroy();
      return;
    }
    if (connection !== undefined) this.#handing.add(connection);
    // The callback takes the error; a process that is gone shows by its exit.
    this.#child.send(message, connection, {}, (error) => {
      if (connection === undefined) return;
      this.#handing.delete(connection);
      if (error !== null) connection.destroy();
    });
  }

  #receive(message: unknown, handle: unknown): void {
    // Before anything else: Node has begun to read it.
    const connection = handle instanceof Socket ? handle : undefined;
    const isUnread = connection !== undefined && stopReading(connection);
    const parsed = fromModelServerSchema.safeParse(message);
    if (!parsed.success) {
      connection?.destroy();
      this.#log.warn('a model server sent a message that is not known', { workload: this.#name });
      return;
    }
    const { data } = parsed;
    if (data.type === 'listening') this.#port = data.port;
    if (data.type === 'ready') this.#ready = true;
    if (data.type === 'drained') this.#drained = true;
    if (data.type === 'connection' && isUnread && this.#takeBack !== undefined) this.#takeBack(connection);
    else connection?.destroy();
    if (data.type === 'failed') {
      this.#failure = new AppError(isErrorCode(data.code) ? data.code : 'WORKLOAD_FAILED', { message: data.message });
    }
    if (data.type === 'pong') {
      clearTimeout(this.#pongTimer);
      if (data.oldestRequestMs > this.#limits.requestTimeoutMs) this.#kill('a request has been under way for too long');
      else this.#schedulePing();
    }
    this.#notify();
  }

  #schedulePing(): void {
    if (this.#ended !== undefined) return;
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => {
      clearTimeout(this.#pongTimer);
      this.#pongTimer = setTimeout(() => this.#kill('it does not answer'), this.#limits.pingTimeoutMs);
      this.#tell({ type: 'ping' });
    }, this.#limits.pingEveryMs);
  }

  #kill(reason: string): void {
    this.#log.error('a model server hangs and is killed', { workload: this.#name, reason });
    this.#killedFor = reason;
    this.#failure = new AppError('WORKLOAD_FAILED', { message: `The model server was killed: ${reason}.` });
    this.#child.kill('SIGKILL');
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Waits for a message; throws what the process names as its failure, or how it ended, or when it takes too long. */
  #until(isDone: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        signal.removeEventListener('abort', onAbort);
        finish();
      };
      const look = () => {
        if (isDone()) settle(resolve);
        else if (this.#failure !== undefined) settle(() => reject(this.#failure));
        else if (this.#ended !== undefined) {
          const how = describeEnd(this.#ended);
          settle(() => reject(new AppError('WORKLOAD_FAILED', { message: `The model server ended with ${how}.` })));
        }
      };
      const onAbort = () => settle(() => reject(signal.reason));
      const timer = setTimeout(
        () => settle(() => reject(new AppError('WORKLOAD_FAILED', { message: 'The model server was not ready in time.' }))),
        this.#limits.readyTimeoutMs,
      );
      this.#watchers.add(look);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else look();
    });
  }
}
