import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { AppError, type JobResources } from '@selvedge/contract';
import { folderLockHolder, signalProcessGroup, waitUntil } from '@selvedge/runtime';
import type { JobPlan, ToolContext } from '../define-tool.ts';
import { gpuEnvironment } from './gpus.ts';
import { holdJob, type JobHold } from './job-hold.ts';
import { type FromJob, fromJobSchema, receivedError, sendableError, type ToJob } from './job-messages.ts';

const SAMPLE_INTERVAL_MS = 50;
/** How often what is used so far is shown, in samples. */
const SAMPLES_PER_SHOW = 20;
/** How long the work may take to end after it was asked to, before its processes are killed. */
const END_GRACE_MS = 5000;
const MIB = 1024 * 1024;

export interface JobOptions {
  /** Program and arguments of a process that runs `serveJob`. */
  readonly command: readonly string[];
  readonly tool: string;
  readonly plan: JobPlan;
  /** What the work is made from, and where its log, metrics and calls go. */
  readonly context: ToolContext;
  /** File that is there while the job's process is at work. */
  readonly lockFile: string;
  /** See `holdJob`. */
  readonly controlGroupParent: string | undefined;
  /** Told now and then, and at the end. */
  readonly onUsage: (resources: JobResources) => void;
}

/**
 * Makes an artifact in a process of its own, as leader of a process group, within the limits of its plan.
 *
 * Invariant: when this settles no process of the group is left.
 *
 * @throws AppError OUT_OF_MEMORY (operational) when the group had more than it may; STEP_FAILED (operational) when the process
 * ended without saying how the work went; the signal's reason; whatever the work has thrown.
 */
export async function runJob(options: JobOptions): Promise<void> {
  options.context.signal.throwIfAborted();
  const hold = holdJob(options.controlGroupParent, options.plan);
  try {
    await new RunningJob(options, hold).outcome();
  } finally {
    await hold.remove();
  }
}

/** Ends the job that an earlier process of the tool, killed in the middle of it, has left behind. */
export async function endLeftOverJob(lockFile: string): Promise<void> {
  const pid = await folderLockHolder(lockFile);
  if (pid === undefined) return;
  signalProcessGroup(pid, 'SIGKILL');
  await waitUntil(async () => ((await folderLockHolder(lockFile)) === undefined ? true : undefined), {
    timeoutMs: 10_000,
    intervalMs: 20,
    what: `process ${pid} of the earlier attempt to end`,
  });
}

class RunningJob {
  readonly #options: JobOptions;
  readonly #hold: JobHold;
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  readonly #errorLines: string[] = [];
  #used: JobResources['used'] = { wallSeconds: 0, cpuSeconds: 0, peakMemoryMiB: 0 };
  #samples = 0;
  #result: { readonly error?: Error } | undefined;

  constructor(options: JobOptions, hold: JobHold) {
    this.#options = options;
    this.#hold = hold;
    const { nice, gpus } = options.plan.granted;
    const [program = '', ...args] = hold.enter(nice === 0 ? options.command : ['nice', '-n', String(nice), ...options.command]);
    const env = { ...process.env, ...gpuEnvironment(gpus) };
    this.#child = spawn(program, args, { detached: true, env, stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
    this.#child.stdin?.on('error', () => undefined); // held open for the job to see that we are there; its exit is handled below
  }

  async outcome(): Promise<void> {
    const { signal } = this.#options.context;
    const abort = () => this.#abort();
    const sampling = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS);
    let end: { code: number | null; signal: string | null };
    try {
      const ended = this.#ended();
      this.#begin();
      signal.addEventListener('abort', abort, { once: true });
      end = await ended;
      if (this.#hold.isOutOfMemory) {
        this.#sample();
        this.#result ??= { error: this.#outOfMemory() };
      }
    } finally {
      clearInterval(sampling);
      signal.removeEventListener('abort', abort);
      if (this.#child.pid !== undefined) signalProcessGroup(this.#child.pid, 'SIGKILL');
      this.#options.onUsage(this.#resources());
    }
    if (this.#result?.error !== undefined) throw this.#result.error;
    if (this.#result !== undefined) return;
    signal.throwIfAborted();
    throw this.#unexpected(end);
  }

  #begin(): void {
    const { pid } = this.#child;
    if (pid === undefined) return; // it could not be started: `error` says why
    this.#child.on('message', (raw) => {
      try {
        this.#receive(fromJobSchema.parse(raw));
      } catch (error) {
        this.#giveUp(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#readLines();
    const { tool, context, lockFile } = this.#options;
    const { parameters, inputs, dataDir, workDir, checkpointDir, cacheDir, attempt } = context;
    const given = Object.fromEntries(Object.entries(inputs).flatMap(([name, folder]) => (folder === undefined ? [] : [[name, folder]])));
    this.#send({ type: 'make', tool, parameters, inputs: given, dataDir, workDir, checkpointDir, cacheDir, attempt, lockFile });
  }

  /** Resolves when the process is gone and all that it sent has been read. */
  #ended(): Promise<{ code: number | null; signal: string | null }> {
    const child = this.#child;
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    return new Promise((resolve, reject) => {
      child.once('error', (cause) => {
        if (child.pid !== undefined) return;
        reject(new AppError('STEP_FAILED', { message: `The process of the job could not be started: ${cause.message}` }, { cause }));
      });
      child.once('exit', (code, signal) => {
        // Others of the group hold the pipes of the log open.
        if (child.pid !== undefined) signalProcessGroup(child.pid, 'SIGKILL');
        disconnected.then(() => resolve({ code, signal }), reject);
      });
    });
  }

  #readLines(): void {
    const { stdout, stderr } = this.#child;
    for (const stream of [stdout, stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.#options.context.log(line);
        if (stream === stderr) this.#errorLines.push(line);
        if (this.#errorLines.length > 5) this.#errorLines.shift();
      });
    }
  }

  #receive(message: FromJob): void {
    const { context } = this.#options;
    switch (message.type) {
      case 'log':
        context.log(message.text);
        return;
      case 'progress':
        context.progress(message.fraction ?? 0, message.message);
        return;
      case 'metric':
        context.metric(message.name, message.step, message.value ?? Number.NaN);
        return;
      case 'usage':
        this.#sample();
        this.#send({ type: 'usage', call: message.call, resources: this.#resources() });
        return;
      case 'fetch':
        context.fetch(message.name, message.source).then(
          (folder) => this.#send({ type: 'fetched', call: message.call, folder }),
          (error: unknown) => this.#send({ type: 'refused', call: message.call, error: sendableError(error) }),
        );
        return;
      case 'done':
      case 'failed':
        this.#sample();
        this.#result ??= message.type === 'done' ? {} : { error: receivedError(message.error) };
        this.#child.disconnect();
    }
  }

  #send(message: ToJob): void {
    // A process that is about to end need not hear of it.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  #sample(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#result !== undefined) return;
    const { peakBytes, cpuSeconds } = this.#hold.usage(pid);
    const peakMemoryMiB = Math.max(this.#used.peakMemoryMiB, round(peakBytes / MIB));
    this.#used = { wallSeconds: round((performance.now() - this.#startedAt) / 1000), cpuSeconds: round(cpuSeconds), peakMemoryMiB };
    this.#samples += 1;
    if (this.#samples % SAMPLES_PER_SHOW === 0) this.#options.onUsage(this.#resources());
    const { memoryMiB } = this.#options.plan.granted;
    if (memoryMiB !== null && peakMemoryMiB > memoryMiB) this.#giveUp(this.#outOfMemory());
  }

  #outOfMemory(): AppError {
    return new AppError('OUT_OF_MEMORY', {
      message: `out of memory: limit ${this.#options.plan.granted.memoryMiB} MiB, peak ${Math.ceil(this.#used.peakMemoryMiB)} MiB`,
      hint: 'Raise train.resources.memoryMiB, or lower the batch size or the size of the network.',
    });
  }

  #giveUp(error: Error): void {
    this.#result ??= { error };
    if (this.#child.pid !== undefined) signalProcessGroup(this.#child.pid, 'SIGKILL');
  }

  #abort(): void {
    const { signal } = this.#options.context;
    this.#send({ type: 'abort', error: sendableError(signal.reason) });
    const { pid } = this.#child;
    if (pid === undefined) return;
    const killer = setTimeout(() => signalProcessGroup(pid, 'SIGKILL'), END_GRACE_MS);
    this.#child.once('exit', () => clearTimeout(killer));
  }

  #resources(): JobResources {
    const { asked, granted } = this.#options.plan;
    return { asked, granted, enforcedBy: this.#hold.enforcedBy, used: this.#used };
  }

  #unexpected({ code, signal }: { code: number | null; signal: string | null }): AppError {
    const how = signal === null ? `with code ${code}` : `by signal ${signal}`;
    const last = this.#errorLines.length === 0 ? '' : `; its last lines: ${this.#errorLines.join(' | ')}`;
    const peak = `it had used up to ${Math.ceil(this.#used.peakMemoryMiB)} MiB of memory`;
    return new AppError('STEP_FAILED', {
      message: `The process of the work ended ${how}; ${peak}${last}`,
      hint: signal === 'SIGKILL' ? 'Look for an out-of-memory kill in the log of the machine.' : 'The log of the step has more.',
    });
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
