import type { Run, RunStep } from '@selvedge/contract';
import { AppError } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { isFinishedPhase } from '../domain/run-view.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { runNotFound } from './run-service.ts';

const POLL_MS = 300;

export interface RunLogOptions {
  store: Store;
  tools: ToolClient;
}

/** The log of a run: a header per step, then what the step's tool logged, as it stands or as it grows. */
export class RunLog {
  readonly #options: RunLogOptions;

  constructor(options: RunLogOptions) {
    this.#options = options;
  }

  /**
   * @param options.step - only this step.
   * @param options.follow - goes on until the run is finished.
   * @throws AppError NOT_FOUND before the first line when there is no such run or step.
   */
  async open(
    name: string,
    options: { step?: string | undefined; follow: boolean; signal: AbortSignal },
  ): Promise<AsyncGenerator<string | Buffer>> {
    const run = await this.#get(name);
    const steps = run.status.steps.filter((step) => options.step === undefined || step.name === options.step);
    if (steps.length === 0) {
      const names = run.status.steps.map((step) => step.name).join(', ');
      throw new AppError('NOT_FOUND', { message: `Run "${name}" has no step "${options.step ?? ''}".`, hint: `Steps: ${names}.` });
    }
    return this.#lines(
      name,
      steps.map((step) => step.name),
      options,
    );
  }

  async #get(name: string): Promise<Run> {
    const run = await this.#options.store.get('Run', name);
    if (run === undefined) throw runNotFound(name);
    return run;
  }

  async *#lines(
    name: string,
    steps: RunStep['name'][],
    options: { follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<string | Buffer> {
    const { follow, signal } = options;
    for (const wanted of steps) {
      const step = await this.#begun(name, wanted, follow, signal);
      if (step === undefined) continue;
      const attempt = step.attempt > 1 ? `, attempt ${step.attempt}` : '';
      yield `== ${step.name}${step.artifact === null ? '' : ` (artifact ${step.artifact}${attempt})`}\n`;
      // runs of before tools could be chosen do not tell the tool: there it has the step's name
      if (step.artifact !== null) yield* this.#toolLog(name, step.tool ?? step.name, step.artifact, follow, signal);
      const after = await this.#ended(name, wanted, follow, signal);
      if (after !== undefined) yield `== ${after.name} ${after.state}${after.message === '' ? '' : `: ${after.message}`}\n`;
    }
    const run = await this.#options.store.get('Run', name);
    if (run !== undefined && isFinishedPhase(run.status.phase)) yield `== run ${run.status.phase.toLowerCase()}: ${run.status.message}\n`;
  }

  /** The step once it has begun; undefined when it has not, or never will. */
  #begun(name: string, wanted: string, follow: boolean, signal: AbortSignal): Promise<RunStep | undefined> {
    const begun = (step: RunStep) => step.state !== 'pending' && step.state !== 'skipped';
    return this.#stepWhen(name, wanted, follow, signal, (step) => begun(step) || step.state === 'skipped').then((step) =>
      step !== undefined && begun(step) ? step : undefined,
    );
  }

  #ended(name: string, wanted: string, follow: boolean, signal: AbortSignal): Promise<RunStep | undefined> {
    return this.#stepWhen(name, wanted, follow, signal, (step) => step.state !== 'running' && step.state !== 'pending');
  }

  /** Waits, when following, until the step is as wanted or the run is finished. */
  async #stepWhen(
    name: string,
    wanted: string,
    follow: boolean,
    signal: AbortSignal,
    ready: (step: RunStep) => boolean,
  ): Promise<RunStep | undefined> {
    for (;;) {
      const run = await this.#options.store.get('Run', name);
      const step = run?.status.steps.find((candidate) => candidate.name === wanted);
      if (run === undefined || step === undefined) return undefined;
      if (ready(step) || !follow || isFinishedPhase(run.status.phase)) return step;
      await sleep(POLL_MS, signal);
    }
  }

  /** A tool that dies in the middle is waited for; what was shown already is not shown again. */
  async *#toolLog(run: string, tool: string, artifact: string, follow: boolean, signal: AbortSignal): AsyncGenerator<Buffer | string> {
    let shown = 0;
    for (;;) {
      let position = 0;
      try {
        const stream = await this.#options.tools.openLog(tool, artifact, { follow, signal });
        if (stream === undefined) return;
        for await (const chunk of stream) {
          const bytes = Buffer.from(chunk);
          const fresh = bytes.subarray(Math.max(0, shown - position));
          position += bytes.length;
          shown = Math.max(shown, position);
          if (fresh.length > 0) yield fresh;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        const dead = error instanceof AppError ? error.code === 'TOOL_UNAVAILABLE' : isBrokenConnection(error);
        if (!dead) throw error;
        if (!follow) {
          yield `(the log cannot be read now: the ${tool} tool is not running)\n`;
          return;
        }
        const current = await this.#options.store.get('Run', run);
        if (current === undefined || isFinishedPhase(current.status.phase)) return;
        await sleep(POLL_MS, signal);
      }
    }
  }
}

function isBrokenConnection(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'ERR_STREAM_PREMATURE_CLOSE');
}
