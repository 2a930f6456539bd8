import {
  AppError,
  type ArtifactRequest,
  type GateResult,
  type ModelVersion,
  type Run,
  type RunStatus,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger, sleep } from '@selvedge/runtime';
import { ACTIVE_LABEL, CANCEL_ANNOTATION, ORIGIN_ANNOTATION } from '../domain/run-markers.ts';
import {
  currentStep,
  failureText,
  isFinishedPhase,
  isToolStep,
  type Observation,
  type Observations,
  planRun,
  type RunAction,
  stepsToObserve,
  type ToolStep,
} from '../domain/run-plan.ts';
import { artifactOfStep, stepRequest } from '../domain/run-requests.ts';
import { applyToStatus } from '../domain/run-status.ts';
import { scoreCriteria } from '../domain/version-gates.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { draftOf, withoutKey } from './draft-of.ts';
import type { EventHub } from './event-hub.ts';
import { failureOf } from './failure-of.ts';
import type { ModelRegistry } from './model-registry.ts';
import { RunBuilds } from './run-builds.ts';
import { RunMetrics } from './run-metrics.ts';

/** Fast enough for a live picture, slow enough for the disk: a status is written at most once a round. */
const POLL_MS = 300;

export interface RunDriverOptions {
  store: Store;
  tools: ToolClient;
  hub: EventHub;
  registry: ModelRegistry;
  /** Why a tool cannot be used now; undefined when it can. */
  whyDown: (tool: string) => string | undefined;
  /** The import step's request: the dataset version's own. */
  importRequest: (run: Run) => Promise<ArtifactRequest>;
  origin: () => string;
  clock: () => Date;
  log: Logger;
}

/** What is written of a run besides its steps. */
interface Extra {
  metrics?: Record<string, number>;
  modelVersion?: string;
  criteria?: GateResult[];
}

/**
 * Drives one run to its end: look, plan, act, until it is finished.
 *
 * Invariants: everything that decides is in the store or in the tools, so that a driver may die at any moment and another
 * goes on; a step's work is keyed by the artifact's name, so that asking twice is asking once.
 */
export class RunDriver {
  readonly #options: RunDriverOptions;
  readonly #name: string;
  readonly #metrics: RunMetrics;
  readonly #builds: RunBuilds;

  constructor(name: string, options: RunDriverOptions) {
    this.#name = name;
    this.#options = options;
    this.#builds = new RunBuilds(options);
    this.#metrics = new RunMetrics({ store: options.store, tools: options.tools, hub: options.hub, run: name });
  }

  /** Returns when the run is finished, gone, or the signal aborts. */
  async drive(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let moved = false;
      try {
        const run = await this.#options.store.get('Run', this.#name);
        if (run === undefined) return;
        if (isFinishedPhase(run.status.phase)) return await this.#settle(run);
        moved = await this.#round(run, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.error('a round of the run failed; it is tried again', { run: this.#name, ...describeError(error) });
      }
      if (!moved) await sleep(POLL_MS, signal).catch(() => undefined); // aborted: the loop ends by its condition
    }
  }

  /** @returns whether the run has moved on to another step, so that the next round need not wait. */
  async #round(run: Run, signal: AbortSignal): Promise<boolean> {
    const observed = await this.#observe(run);
    const before = currentStep(run.status)?.name;
    if (await this.#dropUnreachable(run, observed)) return true;
    const metrics = await this.#copyMetrics(run, observed);
    const cancelRequested = run.metadata.annotations[CANCEL_ANNOTATION] !== undefined;
    const packages = before === 'build' ? await this.#builds.look(run) : [];
    const actions = planRun({ status: run.status, cancelRequested, packages }, observed);
    const shown = await this.#write(run, actions, { metrics });
    for (const action of actions) await this.#act(shown, action, signal);
    return currentStep(shown.status)?.name !== before;
  }

  async #observe(run: Run): Promise<Observations> {
    const observed: Observations = {};
    for (;;) {
      const wanted = stepsToObserve(run.status, observed);
      if (wanted.length === 0) return observed;
      for (const step of wanted) observed[step] = await this.#look(run, step);
    }
  }

  async #look(run: Run, step: ToolStep): Promise<Observation> {
    const reason = this.#options.whyDown(step);
    if (reason !== undefined) return { kind: 'unreachable', reason };
    try {
      const status = await this.#options.tools.getStatus(step, artifactOfStep(this.#name, run.spec, step));
      return status === undefined ? { kind: 'absent' } : { kind: 'present', status };
    } catch (error) {
      if (error instanceof AppError && error.code === 'TOOL_UNAVAILABLE') return { kind: 'unreachable', reason: error.message };
      throw error;
    }
  }

  /**
   * An artifact asked for when the server had another port cannot fetch its inputs, or has failed to: it is removed, to be
   * asked for anew.
   */
  async #dropUnreachable(run: Run, observed: Observations): Promise<boolean> {
    const step = currentStep(run.status)?.name;
    if (step === undefined || !isToolStep(step)) return false;
    const seen = observed[step];
    if (seen?.kind !== 'present' || seen.status.status === 'completed' || seen.status.status === 'cancelled') return false;
    const origin = run.metadata.annotations[ORIGIN_ANNOTATION];
    if (origin === undefined || origin === this.#options.origin()) return false;
    await this.#options.tools.removeArtifact(step, artifactOfStep(this.#name, run.spec, step));
    return this.#saveOrigin();
  }

  async #saveOrigin(): Promise<true> {
    await this.#options.store.update('Run', this.#name, (current) =>
      draftOf(current, { annotations: { ...current.metadata.annotations, [ORIGIN_ANNOTATION]: this.#options.origin() } }),
    );
    return true;
  }

  async #copyMetrics(run: Run, observed: Observations): Promise<Record<string, number>> {
    const step = currentStep(run.status)?.name;
    if (step === undefined || !isToolStep(step)) return {};
    const seen = observed[step];
    if (seen?.kind !== 'present' || seen.status.status === 'queued') return {};
    try {
      return await this.#metrics.copy(step, artifactOfStep(this.#name, run.spec, step), seen.status.attempt);
    } catch (error) {
      if (error instanceof AppError && error.code === 'TOOL_UNAVAILABLE') return {};
      throw error;
    }
  }

  async #write(run: Run, actions: readonly RunAction[], extra: Extra): Promise<Run> {
    const context = {
      nowIso: this.#options.clock().toISOString(),
      artifactOf: (step: RunStatus['steps'][number]['name']) => (isToolStep(step) ? artifactOfStep(this.#name, run.spec, step) : null),
    };
    const { metrics = {}, modelVersion, criteria } = extra;
    const updated = await this.#options.store.update('Run', this.#name, (current) => {
      const status = applyToStatus(current.status, actions, context);
      const merged = { ...status, metrics: { ...status.metrics, ...metrics }, modelVersion: modelVersion ?? status.modelVersion };
      return draftOf(current, { status: criteria === undefined ? merged : { ...merged, criteria } });
    });
    return updated ?? run;
  }

  async #act(run: Run, action: RunAction, signal: AbortSignal): Promise<void> {
    const { tools, log } = this.#options;
    try {
      switch (action.type) {
        case 'request':
          await this.#saveOrigin();
          log.info('step requested', { run: this.#name, step: action.step });
          return await tools.createArtifact(action.step, await this.#requestOf(run, action.step));
        case 'cancel':
          await tools.cancelArtifact(action.step, artifactOfStep(this.#name, run.spec, action.step));
          return;
        case 'register':
          return await this.#register(run, signal);
        case 'build':
          return await this.#builds.ensure(run);
        case 'dropBuilds':
          return await this.#builds.drop(run);
        case 'show':
          return;
        case 'finish':
          log.info('run finished', { run: this.#name, phase: action.phase, message: action.message });
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toAppError(thrown);
      if (error.code === 'TOOL_UNAVAILABLE') return; // the next round sees it and says so
      const step = 'step' in action ? action.step : (currentStep(run.status)?.name ?? 'register');
      await this.#failStep(run, step, error);
    }
  }

  #requestOf(run: Run, step: ToolStep): Promise<ArtifactRequest> {
    if (step === 'import') return this.#options.importRequest(run);
    return Promise.resolve(stepRequest(this.#name, run.spec, step, this.#options.origin()));
  }

  async #register(run: Run, signal: AbortSignal): Promise<void> {
    const version = await this.#options.registry.registerRun(run, signal);
    const modelVersion = `${version.spec.model}/${version.spec.version}`;
    const criteria = await this.#criteriaOf(run, version);
    const isLast = run.status.steps.at(-1)?.name === 'register';
    // In one write: whoever sees the last step completed sees the run succeeded.
    await this.#write(
      run,
      [
        { type: 'show', step: 'register', change: { state: 'completed', progress: 1, message: modelVersion } },
        ...(isLast ? [{ type: 'finish' as const, phase: 'Succeeded' as const, message: `registered ${modelVersion}` }] : []),
      ],
      { modelVersion, ...(criteria === undefined ? {} : { criteria }) },
    );
    if (isLast) this.#options.log.info('run finished', { run: this.#name, phase: 'Succeeded', modelVersion });
  }

  /** The benchmark's report, judged by what the task says that models are judged by. */
  async #criteriaOf(run: Run, version: ModelVersion): Promise<GateResult[] | undefined> {
    const { task: name } = run.spec.pipelineSpec;
    const task = name === undefined ? undefined : await this.#options.store.get('Task', name);
    return task === undefined ? undefined : scoreCriteria(version, task);
  }

  async #failStep(run: Run, step: RunStatus['steps'][number]['name'], error: AppError): Promise<void> {
    this.#options.log.warn('step failed', { run: this.#name, step, ...describeError(error) });
    const failure = failureOf(error);
    const text = failureText(failure);
    await this.#write(
      run,
      [
        { type: 'show', step, change: { state: 'failed', message: text } },
        { type: 'finish', phase: 'Failed', message: `Step "${step}" failed: ${text}`, error: failure },
      ],
      {},
    );
  }

  /** The last writes: the pipeline's summary, then the label that keeps the run in work. */
  async #settle(run: Run): Promise<void> {
    const { store } = this.#options;
    await store.update('Pipeline', run.spec.pipeline, (current) =>
      current.status.lastRun === this.#name
        ? draftOf(current, { status: { lastRun: this.#name, lastRunState: run.status.phase } })
        : undefined,
    );
    await store.update('Run', this.#name, (current) => draftOf(current, { labels: withoutKey(current.metadata.labels, ACTIVE_LABEL) }));
  }
}
