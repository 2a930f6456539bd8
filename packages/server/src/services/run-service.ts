import {
  AppError,
  type DatasetVersion,
  type Pipeline,
  type PipelineSpec,
  type Run,
  type RunCause,
  type RunSpec,
  type RunStep,
  type SomeHyperparams,
} from '@selvedge/contract';
import { SerialRunner } from '@selvedge/runtime';
import { ACTIVE_LABEL, LAST_NUMBER_ANNOTATION } from '../domain/run-markers.ts';
import { checkRunnable, modelReferences } from '../domain/run-requests.ts';
import { initialRunStatus } from '../domain/run-status.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import { graphOfRun, stepGraphOf, withDependents } from '../domain/step-graph.ts';
import type { Store } from '../ports/store.ts';
import { requestCancel } from './cancel-run.ts';
import type { DatasetService } from './dataset-service.ts';
import { draftOf } from './draft-of.ts';
import { modelVersionName } from './model-registry.ts';
import { RunJudging } from './run-judging.ts';

export interface RunServiceOptions {
  store: Store;
  datasets: DatasetService;
  /** Whether the server runs a tool of this name. */
  hasTool: (tool: string) => boolean;
  clock: () => Date;
}

export interface StartRequest {
  datasetVersion?: number | undefined;
  /** False: every step is done anew. Default true. */
  cache?: boolean | undefined;
  /** False: one run with the pipeline's own hyperparameters, although it has a sweep. Default true. */
  sweep?: boolean | undefined;
  /** In place of the pipeline's own. */
  hyperparams?: SomeHyperparams | undefined;
}

/** What is decided of a run before it gets its number. */
interface Wanted {
  spec: Omit<RunSpec, 'pipeline'>;
  labels: Record<string, string>;
  /** Changes the status that a run begins with. */
  begin?: (status: Run['status']) => Run['status'];
}

/** Starts, repeats and cancels runs by writing what is wanted; the coordinator acts on it. */
export class RunService {
  readonly #options: RunServiceOptions;
  readonly #judging: RunJudging;
  readonly #serial = new SerialRunner();

  constructor(options: RunServiceOptions) {
    this.#options = options;
    this.#judging = new RunJudging(options);
  }

  /**
   * Pins the pipeline and the dataset version as they are now and queues a run of them.
   *
   * @param labels - added to the pipeline's.
   * @throws AppError NOT_FOUND (no such pipeline), REFERENCE_MISSING (its dataset or task), INPUT_INVALID (names, steps or chains
   * that do not fit), CONFLICT (the dataset is not ready).
   */
  start(pipeline: string, request: StartRequest, cause: RunCause, labels: Record<string, string> = {}): Promise<Run> {
    return this.#serial.run(async () => {
      const found = await this.#getPipeline(pipeline);
      const spec = specFor(found.spec, request);
      const number = await this.#nextNumber(found);
      const { version, digest } = await this.#options.datasets.resolve(spec.dataset.name, request.datasetVersion);
      this.#checkRunnable(found, number, spec, version);
      const judging = await this.#judging.pin(pipeline, spec, version);
      const models = await this.#pinModels(pipeline, spec);
      return this.#create(found, number, {
        labels,
        spec: {
          pipelineGeneration: found.metadata.generation,
          pipelineSpec: spec,
          dataset: { name: spec.dataset.name, version: version.spec.version, digest, artifact: version.status.artifact },
          cause,
          ...(Object.keys(models).length === 0 ? {} : { models }),
          ...judging,
          ...(request.cache === false ? { fresh: stepGraphOf(spec, { judging }).map((step) => step.id) } : {}),
        },
      });
    });
  }

  /**
   * Repeats a run with the pipeline and the data that it had. With `from`, that step and all that follow from it are done
   * anew, and what the run has of the others is taken over; without, all of it is done anew.
   *
   * @throws AppError NOT_FOUND (no such run, step, or its pipeline is gone), CONFLICT (it is not finished).
   */
  rerun(name: string, from: string | undefined, cause: RunCause): Promise<Run> {
    return this.#serial.run(async () => {
      const run = await this.#options.store.get('Run', name);
      if (run === undefined) throw runNotFound(name);
      if (!isFinishedPhase(run.status.phase))
        throw new AppError('CONFLICT', { message: `Run "${name}" is not finished.`, hint: `"selvedge run cancel ${name}" ends it.` });
      const graph = graphOfRun({ ...run.spec, sweepOf: undefined });
      if (from !== undefined && !graph.some((step) => step.id === from))
        throw new AppError('NOT_FOUND', {
          message: `Run "${name}" has no step "${from}".`,
          hint: `Steps: ${graph.map((step) => step.id).join(', ')}.`,
        });
      const pipeline = await this.#getPipeline(run.spec.pipeline);
      const number = await this.#nextNumber(pipeline);
      const { version } = await this.#options.datasets.resolve(run.spec.dataset.name, run.spec.dataset.version);
      this.#checkRunnable(pipeline, number, run.spec.pipelineSpec, version);
      const anew = from === undefined ? new Set(graph.map((step) => step.id)) : withDependents(graph, from);
      const { pipelineGeneration, pipelineSpec, dataset, models, wanted, evaluations } = run.spec;
      return this.#create(pipeline, number, {
        labels: {},
        spec: {
          pipelineGeneration,
          pipelineSpec,
          dataset,
          ...(models && { models }),
          ...(wanted && { wanted }),
          ...(evaluations && { evaluations }),
          cause,
          fresh: [...anew],
          rerunOf: { run: name, from: from ?? null },
        },
        begin: (status) => ({
          ...status,
          steps: status.steps.map((step) => (anew.has(step.name) ? step : takenOver(step, run, this.#options.clock().toISOString()))),
        }),
      });
    });
  }

  /** @throws AppError NOT_FOUND; CONFLICT when it is finished. */
  async cancel(name: string): Promise<Run> {
    const run = await requestCancel(this.#options.store, name, this.#options.clock().toISOString());
    if (run === undefined) throw runNotFound(name);
    if (isFinishedPhase(run.status.phase) && run.status.phase !== 'Cancelled') {
      throw new AppError('CONFLICT', { message: `Run "${name}" is finished already: ${run.status.phase}.` });
    }
    return run;
  }

  async #getPipeline(name: string): Promise<Pipeline> {
    const pipeline = await this.#options.store.get('Pipeline', name);
    if (pipeline !== undefined) return pipeline;
    throw new AppError('NOT_FOUND', {
      message: `There is no pipeline "${name}".`,
      hint: 'Apply it with "selvedge apply -f FILE"; "selvedge get pipelines" lists what there is.',
    });
  }

  async #create(pipeline: Pipeline, number: number, { spec, labels, begin }: Wanted): Promise<Run> {
    const { name } = pipeline.metadata;
    const full = { ...spec, pipeline: name };
    const status = initialRunStatus(graphOfRun(full), spec.dataset.artifact);
    const run = await this.#options.store.create('Run', {
      name: `${name}-${number}`,
      labels: { ...pipeline.metadata.labels, ...labels, [ACTIVE_LABEL]: 'true' },
      annotations: {},
      spec: full,
      status: begin === undefined ? status : begin(status),
    });
    await this.#options.store.update('Pipeline', name, (current) =>
      draftOf(current, {
        annotations: { ...current.metadata.annotations, [LAST_NUMBER_ANNOTATION]: String(number) },
        status: { lastRun: run.metadata.name, lastRunState: run.status.phase },
      }),
    );
    return run;
  }

  /** Rules may have changed since a pipeline was applied or run, and some depend on what the dataset holds. */
  #checkRunnable({ metadata }: Pipeline, number: number, spec: PipelineSpec, version: DatasetVersion): void {
    // versions of before the type was kept are of pictures
    const dataset = version.status.content?.type ?? 'image-classification';
    checkRunnable(metadata.name, number, spec, { hasTool: this.#options.hasTool, dataset });
  }

  /** The files of the versions that the steps read: a version that is removed and made anew is another. */
  async #pinModels(pipeline: string, spec: PipelineSpec): Promise<Record<string, string>> {
    const pinned: Record<string, string> = {};
    for (const reference of modelReferences(spec)) {
      const [name = '', version = ''] = reference.split(':');
      const found = await this.#options.store.get('ModelVersion', modelVersionName(name, version));
      if (found === undefined) {
        throw new AppError('REFERENCE_MISSING', {
          message: `Pipeline "${pipeline}" begins with the model "${reference}", which does not exist.`,
          hint: '"selvedge model list" and "selvedge model show NAME" list what there is.',
        });
      }
      pinned[reference] = found.spec.file.sha256;
    }
    return pinned;
  }

  /** Numbers are never used twice, or a new run would find the artifacts of a removed one. */
  async #nextNumber({ metadata }: Pipeline): Promise<number> {
    let number = Number(metadata.annotations[LAST_NUMBER_ANNOTATION] ?? 0) + 1;
    while ((await this.#options.store.get('Run', `${metadata.name}-${number}`)) !== undefined) number += 1;
    return number;
  }
}

/** The pipeline as this run takes it. */
function specFor({ sweep, ...spec }: PipelineSpec, request: StartRequest): PipelineSpec {
  const { model } = spec;
  const given = Object.fromEntries(Object.entries(request.hyperparams ?? {}).filter(([, value]) => value !== undefined));
  const hyperparams = { ...model.hyperparams, ...given };
  return { ...spec, model: { ...model, hyperparams }, ...(sweep === undefined || request.sweep === false ? {} : { sweep }) };
}

/** A step as another run has completed it; one that it has not is done as usual. */
function takenOver(step: RunStep, { metadata, status }: Run, nowIso: string): RunStep {
  const before = status.steps.find((known) => known.name === step.name);
  if (before?.state !== 'completed' || before.artifact === null) return step;
  const from = before.cachedFrom ?? `${metadata.name}.${before.name}`;
  return { ...before, startedAt: nowIso, finishedAt: nowIso, cachedFrom: from, message: `cached from ${from}` };
}

export function runNotFound(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no run "${name}".`, hint: '"selvedge run list" shows all runs.' });
}
