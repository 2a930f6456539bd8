import { AppError, metricValuesSchema, type Run, type RunStep } from '@selvedge/contract';
import * as z from 'zod';
import type { Observation, Observations, PreparedRequest, StepResults } from '../domain/run-actions.ts';
import { stepsToObserve } from '../domain/run-plan.ts';
import { artifactOfStep } from '../domain/run-requests.ts';
import type { GraphStep } from '../domain/step-graph.ts';
import { substituteAll } from '../domain/step-values.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { readSmallJson } from './read-small-json.ts';
import { stepKey } from './step-key.ts';

export interface RunObserverOptions {
  store: Store;
  tools: ToolClient;
  /** Why a tool cannot be used now; undefined when it can. */
  whyDown: (tool: string) => string | undefined;
  /** Version and digest of the code of a tool. @throws AppError TOOL_UNAVAILABLE while they are not known. */
  codeOf: (tool: string) => { version: string; codeDigest: string };
}

/** Larger ones are no outputs. */
const MAX_OUTPUTS_CHARACTERS = 65_536;
const reportSchema = z.object({ metrics: metricValuesSchema });
const outputsSchema = z.record(z.string(), z.unknown());

/** Looks at what a run's steps have come to, and what would be asked for next. */
export class RunObserver {
  readonly #options: RunObserverOptions;

  constructor(options: RunObserverOptions) {
    this.#options = options;
  }

  async observe(run: Run, graph: readonly GraphStep[]): Promise<Observations> {
    const observed: Observations = {};
    for (;;) {
      const wanted = stepsToObserve({ graph, status: run.status }, observed);
      if (wanted.length === 0) return observed;
      for (const id of wanted) observed[id] = await this.#look(run, graph, id);
    }
  }

  async #look(run: Run, graph: readonly GraphStep[], id: string): Promise<Observation> {
    const step = graph.find((known) => known.id === id);
    const stored = run.status.steps.find((known) => known.name === id);
    if (step === undefined || stored === undefined) return { kind: 'unreachable', reason: `The run has no step "${id}".` };
    const reason = this.#options.whyDown(step.tool);
    if (reason !== undefined) return { kind: 'unreachable', reason };
    try {
      const artifact = artifactOfStep(run.metadata.name, run.spec, step, stored);
      const status = await this.#options.tools.getStatus(step.tool, artifact);
      if (status === undefined) return step.kind === 'dataset' ? { kind: 'absent' } : await this.#prepare(run, graph, step, stored);
      const isNews = status.status === 'completed' && stored.state !== 'completed';
      return {
        kind: 'present',
        status,
        ...(isNews && step.kind === 'tool' ? { results: await this.#resultsOf(step.tool, artifact) } : {}),
      };
    } catch (error) {
      if (error instanceof AppError && error.code === 'TOOL_UNAVAILABLE') return { kind: 'unreachable', reason: error.message };
      throw error;
    }
  }

  async #prepare(run: Run, graph: readonly GraphStep[], step: GraphStep, stored: RunStep): Promise<Observation> {
    const parameters = substituteAll(step.parameters, { spec: run.spec, steps: run.status.steps });
    if (!parameters.ok) return { kind: 'impossible', failure: parameters.failure };
    const { version, codeDigest } = this.#options.codeOf(step.tool);
    const { key, isReusable } = stepKey({ run, graph, step, stored, parameters: parameters.value, version, codeDigest });
    const prepared: PreparedRequest = { parameters: parameters.value, toolVersion: version, codeDigest, key };
    const isWanted = isReusable && stored.try === undefined && run.spec.fresh?.includes(step.id) !== true;
    const cached = isWanted ? await this.#cached(key) : undefined;
    return { kind: 'absent', prepared: cached === undefined ? prepared : { ...prepared, cached } };
  }

  /** An earlier step's artifact of the same key, if it is still there. */
  async #cached(key: string): Promise<PreparedRequest['cached']> {
    const { store, tools } = this.#options;
    const found = await store.findStepResult(key);
    if (found === undefined) return undefined;
    const status = await tools.getStatus(found.tool, found.artifact);
    if (status?.status !== 'completed') return undefined;
    return { artifact: found.artifact, from: `${found.run}.${found.step}`, results: await this.#resultsOf(found.tool, found.artifact) };
  }

  /** What later steps may refer to: outputs.json, the last value of each curve, and the metrics of a report. */
  async #resultsOf(tool: string, artifact: string): Promise<StepResults> {
    const { tools } = this.#options;
    const metrics: Record<string, number> = {};
    for (const metric of await tools.listMetrics(tool, artifact)) {
      const last = (await tools.readMetricPoints(tool, artifact, metric, 0)).at(-1);
      if (last !== undefined) metrics[metric] = last.value;
    }
    const report = await this.#json(tool, artifact, 'report.json', reportSchema);
    const outputs = await this.#json(tool, artifact, 'outputs.json', outputsSchema);
    const isSmall = outputs !== undefined && JSON.stringify(outputs).length <= MAX_OUTPUTS_CHARACTERS; // it becomes a part of the run
    return { metrics: { ...metrics, ...report?.metrics }, ...(isSmall ? { outputs } : {}) };
  }

  /** Undefined when there is no such file, or it is something else of that name. */
  async #json<S extends z.ZodType>(tool: string, artifact: string, file: string, schema: S): Promise<z.output<S> | undefined> {
    const stream = await this.#options.tools.openFile(tool, artifact, file);
    if (stream === undefined) return undefined;
    try {
      return await readSmallJson(stream, schema, file);
    } catch (error) {
      if (error instanceof AppError && error.code === 'STEP_FAILED') return undefined;
      throw error;
    }
  }
}
