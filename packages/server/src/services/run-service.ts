import { AppError, type Run, stepNamesOf } from '@selvedge/contract';
import { SerialRunner } from '@selvedge/runtime';
import { ACTIVE_LABEL, CANCEL_ANNOTATION, LAST_NUMBER_ANNOTATION } from '../domain/run-markers.ts';
import { isFinishedPhase } from '../domain/run-plan.ts';
import { checkRunnable } from '../domain/run-requests.ts';
import { initialRunStatus } from '../domain/run-status.ts';
import type { Store } from '../ports/store.ts';
import type { DatasetService } from './dataset-service.ts';
import { draftOf } from './draft-of.ts';

export interface RunServiceOptions {
  store: Store;
  datasets: DatasetService;
  clock: () => Date;
}

/** Starts and cancels runs by writing what is wanted; the coordinator acts on it. */
export class RunService {
  readonly #options: RunServiceOptions;
  readonly #serial = new SerialRunner();

  constructor(options: RunServiceOptions) {
    this.#options = options;
  }

  /**
   * Pins the pipeline and the dataset version as they are now and queues a run of them.
   *
   * @throws AppError NOT_FOUND (no such pipeline), REFERENCE_MISSING (its dataset or task), INPUT_INVALID (names or chains that
   * do not fit), CONFLICT (the dataset is not ready).
   */
  start(pipeline: string, request: { datasetVersion?: number | undefined }, cause: Run['spec']['cause']): Promise<Run> {
    return this.#serial.run(() => this.#start(pipeline, request, cause));
  }

  async #start(name: string, request: { datasetVersion?: number | undefined }, cause: Run['spec']['cause']): Promise<Run> {
    const { store, datasets } = this.#options;
    const pipeline = await store.get('Pipeline', name);
    if (pipeline === undefined) {
      throw new AppError('NOT_FOUND', {
        message: `There is no pipeline "${name}".`,
        hint: 'Apply it with "selvedge apply -f FILE"; "selvedge get pipelines" lists what there is.',
      });
    }
    const { spec } = pipeline;
    const number = await this.#nextNumber(name, Number(pipeline.metadata.annotations[LAST_NUMBER_ANNOTATION] ?? 0));
    checkRunnable(name, number, spec);
    await this.#checkTask(name, spec.task);
    const { version, digest } = await datasets.resolve(spec.dataset.name, request.datasetVersion);
    const run = await store.create('Run', {
      name: `${name}-${number}`,
      labels: { ...pipeline.metadata.labels, [ACTIVE_LABEL]: 'true' },
      annotations: {},
      spec: {
        pipeline: name,
        pipelineGeneration: pipeline.metadata.generation,
        pipelineSpec: spec,
        dataset: { name: spec.dataset.name, version: version.spec.version, digest, artifact: version.status.artifact },
        cause,
      },
      status: initialRunStatus(version.status.artifact, stepNamesOf(spec)),
    });
    await this.#options.store.update('Pipeline', name, (current) =>
      draftOf(current, {
        annotations: { ...current.metadata.annotations, [LAST_NUMBER_ANNOTATION]: String(number) },
        status: { lastRun: run.metadata.name, lastRunState: run.status.phase },
      }),
    );
    return run;
  }

  async #checkTask(pipeline: string, task: string | undefined): Promise<void> {
    if (task === undefined || (await this.#options.store.get('Task', task)) !== undefined) return;
    throw new AppError('REFERENCE_MISSING', {
      message: `Pipeline "${pipeline}" is for the task "${task}", which does not exist.`,
      hint: 'Apply a Task of that name, or take "task" out of the pipeline file.',
    });
  }

  /** Numbers are never used twice, or a new run would find the artifacts of a removed one. */
  async #nextNumber(pipeline: string, last: number): Promise<number> {
    let number = last + 1;
    while ((await this.#options.store.get('Run', `${pipeline}-${number}`)) !== undefined) number += 1;
    return number;
  }

  /**
   * Asks for a run to be cancelled; a finished one stays as it is.
   * @throws AppError NOT_FOUND; CONFLICT when it is finished.
   */
  async cancel(name: string): Promise<Run> {
    const nowIso = this.#options.clock().toISOString();
    const run = await this.#options.store.update('Run', name, (current) => {
      if (isFinishedPhase(current.status.phase)) return undefined;
      const annotations = { [CANCEL_ANNOTATION]: nowIso, ...current.metadata.annotations };
      return draftOf(current, { annotations, status: { ...current.status, message: 'cancelling' } });
    });
    if (run === undefined) throw runNotFound(name);
    if (isFinishedPhase(run.status.phase) && run.status.phase !== 'Cancelled') {
      throw new AppError('CONFLICT', { message: `Run "${name}" is finished already: ${run.status.phase}.` });
    }
    return run;
  }
}

export function runNotFound(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no run "${name}".`, hint: '"selvedge run list" shows all runs.' });
}
