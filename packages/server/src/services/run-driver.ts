import {
  AppError,
  type ArtifactRequest,
  type Run,
  type RunDataset,
  type RunEnvironment,
  type RunStep,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger, sleep } from '@selvedge/runtime';
import { failureText } from '../domain/failure-text.ts';
import type { Observations, RunAction } from '../domain/run-actions.ts';
import { ACTIVE_LABEL, CANCEL_ANNOTATION, ORIGIN_ANNOTATION } from '../domain/run-markers.ts';
import { planRun } from '../domain/run-plan.ts';
import { artifactOfStep, ownArtifact, stepRequest } from '../domain/run-requests.ts';
import { applyToStatus } from '../domain/run-status.ts';
import { isFinishedPhase, openSteps } from '../domain/run-view.ts';
import { datasetOfStep, type GraphStep, graphOfRun } from '../domain/step-graph.ts';
import type { ToolTurns } from '../domain/tool-turns.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { draftOf, withoutKey } from './draft-of.ts';
import type { EventHub } from './event-hub.ts';
import { failureOf } from './failure-of.ts';
import type { ModelRegistry } from './model-registry.ts';
import { RunBuilds } from './run-builds.ts';
import { RunMetrics } from './run-metrics.ts';
import { RunObserver, type RunObserverOptions } from './run-observer.ts';
import { type Registered, RunRegistration } from './run-registration.ts';
import { RunSweep } from './run-sweep.ts';
import { admitRequests, holdTurns, releaseTurns } from './run-turns.ts';

/** Fast enough for a live picture, slow enough for the disk: a status is written at most once a round. */
const POLL_MS = 300;

export interface RunDriverOptions extends RunObserverOptions {
  store: Store;
  tools: ToolClient;
  hub: EventHub;
  registry: ModelRegistry;
  turns: ToolTurns;
  /** The request of a dataset's step: the dataset version's own. */
  importRequest: (dataset: RunDataset) => Promise<ArtifactRequest>;
  /** Ends the process of a tool that does not let go of an artifact, and sees to it that the artifact is not taken up again. */
  endWork: (tool: string, artifact: string) => Promise<void>;
  origin: () => string;
  environment: RunEnvironment;
  clock: () => Date;
  log: Logger;
}

/** What is written of a run besides its steps. */
type Extra = Partial<Registered> & Partial<Pick<Run['status'], 'metrics' | 'sweep'>>;

/**
 * Drives one run to its end: look, plan, act, until it is finished.
 *
 * Invariants: everything that decides is in the store or in the tools, so that a driver may die at any moment and another
 * goes on; a step's work is keyed by the artifact's name, so that asking twice is asking once.
 */
export class RunDriver {
  readonly #options: RunDriverOptions;
  readonly #name: string;
  readonly #observer: RunObserver;
  readonly #metrics: RunMetrics;
  readonly #builds: RunBuilds;
  readonly #sweep: RunSweep;
  readonly #registration: RunRegistration;

  constructor(name: string, options: RunDriverOptions) {
    this.#name = name;
    this.#options = options;
    this.#observer = new RunObserver(options);
    this.#builds = new RunBuilds(options);
    this.#sweep = new RunSweep(options);
    this.#registration = new RunRegistration(options);
    this.#metrics = new RunMetrics({ store: options.store, tools: options.tools, hub: options.hub, run: name });
  }

  /** Returns when the run is finished, gone, or the signal aborts. */
  async drive(signal: AbortSignal): Promise<void> {
    try {
      await this.#rounds(signal);
    } finally {
      this.#options.turns.drop(this.#name);
    }
  }

  async #rounds(signal: AbortSignal): Promise<void> {
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

  /** @returns whether a step has begun to be open or stopped to be, so that the next round need not wait. */
  async #round(run: Run, signal: AbortSignal): Promise<boolean> {
    const graph = graphOfRun(run.spec);
    const open = openSteps({ graph, status: run.status });
    const observed = await this.#observer.observe(run, graph);
    if (await this.#dropUnreachable(run, open, observed)) return true;
    holdTurns(this.#options.turns, run, open, observed);
    const metrics = await this.#copyMetrics(run, graph, open, observed);
    const cancelRequested = run.metadata.annotations[CANCEL_ANNOTATION] !== undefined;
    const packages = open.some((step) => step.kind === 'build') ? await this.#builds.look(run) : [];
    const sweep = open.some((step) => step.kind === 'sweep') ? await this.#sweep.look(run) : undefined;
    const status = sweep === undefined ? run.status : { ...run.status, sweep: sweep.status };
    const nowIso = this.#options.clock().toISOString();
    const view = { spec: run.spec, graph, status, cancelRequested, nowIso, packages, ...(sweep && { sweep: sweep.plan }) };
    const actions = admitRequests(this.#options.turns, run, graph, observed, planRun(view, observed));
    const shown = await this.#write(run, actions, { metrics, ...(sweep && { sweep: sweep.status }) });
    await this.#keepResults(shown, open);
    releaseTurns(this.#options.turns, run, open, observed);
    for (const action of actions) await this.#act(shown, graph, action, signal);
    const openNow = openSteps({ graph, status: shown.status });
    return isFinishedPhase(shown.status.phase) || openNow.map(({ id }) => id).join() !== open.map(({ id }) => id).join();
  }

  /** What has been made now can be taken by other runs. */
  async #keepResults(run: Run, open: readonly GraphStep[]): Promise<void> {
    for (const { id, tool, kind } of open) {
      const stored = run.status.steps.find((known) => known.name === id);
      if (kind !== 'tool' || stored?.state !== 'completed' || stored.key === undefined || stored.artifact === null) continue;
      if (stored.cachedFrom == null)
        await this.#options.store.saveStepResult({ key: stored.key, tool, artifact: stored.artifact, run: this.#name, step: id });
    }
  }

  /**
   * An artifact asked for when the server had another port cannot fetch its inputs, or has failed to: it is removed, to be
   * asked for anew.
   */
  async #dropUnreachable(run: Run, open: readonly GraphStep[], observed: Observations): Promise<boolean> {
    let dropped = false;
    for (const step of open) {
      const seen = observed[step.id];
      const stored = run.status.steps.find((known) => known.name === step.id);
      const origin = stored?.origin ?? run.metadata.annotations[ORIGIN_ANNOTATION];
      if (origin === undefined || origin === this.#options.origin() || seen?.kind !== 'present') continue;
      if (seen.status.status === 'completed' || seen.status.status === 'cancelled') continue;
      await this.#options.tools.removeArtifact(step.tool, this.#artifactIn(run, step));
      dropped = true;
    }
    return dropped;
  }

  async #copyMetrics(
    run: Run,
    graph: readonly GraphStep[],
    open: readonly GraphStep[],
    observed: Observations,
  ): Promise<Record<string, number>> {
    let newest: Record<string, number> = {};
    for (const step of open) {
      const seen = observed[step.id];
      if (seen?.kind !== 'present' || seen.status.status === 'queued') continue;
      newest = { ...newest, ...(await this.#copyOf(graph, step, this.#artifactIn(run, step), seen.status.attempt)) };
    }
    return newest;
  }

  async #copyOf(graph: readonly GraphStep[], step: GraphStep, artifact: string, attempt: number): Promise<Record<string, number>> {
    try {
      return await this.#metrics.copy(graph, step, artifact, attempt);
    } catch (error) {
      if (error instanceof AppError && error.code === 'TOOL_UNAVAILABLE') return {};
      throw error;
    }
  }

  #artifactIn(run: Run, step: GraphStep): string {
    const stored = run.status.steps.find((known) => known.name === step.id);
    return stored === undefined ? `${this.#name}.${step.id}` : artifactOfStep(this.#name, run.spec, step, stored);
  }

  async #write(run: Run, actions: readonly RunAction[], extra: Extra): Promise<Run> {
    const { clock, origin } = this.#options;
    const context = { nowIso: clock().toISOString(), origin: origin(), artifactOf: (step: RunStep) => this.#nameToAsk(run, step) };
    const { metrics = {}, ...others } = extra;
    const updated = await this.#options.store.update('Run', this.#name, (current) => {
      const status = applyToStatus(current.status, actions, context);
      const environment = status.environment ?? this.#options.environment;
      return draftOf(current, { status: { ...status, environment, metrics: { ...status.metrics, ...metrics }, ...others } });
    });
    return updated ?? run;
  }

  #nameToAsk(run: Run, step: RunStep): string {
    const known = graphOfRun(run.spec).find(({ id }) => id === step.name);
    return known?.kind === 'dataset' ? datasetOfStep(run.spec, known).artifact : ownArtifact(this.#name, step);
  }

  async #act(run: Run, graph: readonly GraphStep[], action: RunAction, signal: AbortSignal): Promise<void> {
    try {
      await this.#do(run, graph, action, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toAppError(thrown);
      if (error.code === 'TOOL_UNAVAILABLE' || !('step' in action)) return; // the next round sees it and says so
      await this.#failStep(run, action.step, error);
    }
  }

  async #do(run: Run, graph: readonly GraphStep[], action: RunAction, signal: AbortSignal): Promise<void> {
    const { tools, log } = this.#options;
    const step = 'step' in action ? graph.find((known) => known.id === action.step) : undefined;
    if (action.type === 'finish') return void log.info('run finished', { run: this.#name, phase: action.phase, message: action.message });
    if (step === undefined) return;
    switch (action.type) {
      case 'request':
        log.info('step requested', { run: this.#name, step: step.id });
        return tools.createArtifact(step.tool, await this.#requestOf(run, graph, step));
      case 'reuse': {
        const metrics = await this.#copyOf(graph, step, action.artifact, 1);
        await this.#write(run, [], { metrics });
        return;
      }
      case 'cancel':
        await tools.cancelArtifact(step.tool, this.#artifactIn(run, step));
        return;
      case 'kill':
        log.warn('the tool does not end its work; it is restarted', { run: this.#name, step: step.id, tool: step.tool });
        return this.#options.endWork(step.tool, this.#artifactIn(run, step));
      case 'register':
        return this.#register(run, step.id, signal);
      case 'build':
        return this.#builds.ensure(run);
      case 'dropBuilds':
        return this.#builds.drop(run);
      case 'startChildren':
        return this.#sweep.start(run, action.children);
      case 'cancelChildren':
        return this.#sweep.cancel(run);
      case 'show':
        return;
    }
  }

  async #requestOf(run: Run, graph: readonly GraphStep[], step: GraphStep): Promise<ArtifactRequest> {
    if (step.kind === 'dataset') return this.#options.importRequest(datasetOfStep(run.spec, step));
    const stored = run.status.steps.find((known) => known.name === step.id);
    const artifactIn = (id: string) => {
      const other = graph.find((known) => known.id === id);
      return { tool: other?.tool ?? id, artifact: other === undefined ? id : this.#artifactIn(run, other) };
    };
    return stepRequest(this.#artifactIn(run, step), step, stored?.parameters ?? {}, artifactIn, {
      origin: this.#options.origin(),
      models: run.spec.models,
    });
  }

  async #register(run: Run, step: string, signal: AbortSignal): Promise<void> {
    const registered = await this.#registration.register(run, signal);
    const isLast = run.status.steps.every((known) => known.name === step || known.state === 'completed' || known.state === 'skipped');
    // In one write: whoever sees the last step completed sees the run succeeded.
    await this.#write(
      run,
      [
        { type: 'show', step, change: { state: 'completed', progress: 1, message: registered.modelVersion } },
        ...(isLast ? [{ type: 'finish' as const, phase: 'Succeeded' as const, message: `registered ${registered.modelVersion}` }] : []),
      ],
      registered,
    );
    const { modelVersion } = registered;
    if (isLast) this.#options.log.info('run finished', { run: this.#name, phase: 'Succeeded', modelVersion });
  }

  /** The run itself is finished by the next round, once what else is at work has ended. */
  async #failStep(run: Run, step: string, error: AppError): Promise<void> {
    this.#options.log.warn('step failed', { run: this.#name, step, ...describeError(error) });
    const failure = failureOf(error);
    await this.#write(run, [{ type: 'show', step, change: { state: 'failed', message: failureText(failure), error: failure } }], {});
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
