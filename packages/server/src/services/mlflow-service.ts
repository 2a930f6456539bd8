import { randomUUID } from 'node:crypto';
import { AppError } from '@selvedge/contract';
import { parseFilter, parseOrderBy } from '../domain/mlflow/search.ts';
import type {
  MlflowExperiment,
  MlflowLifecycle,
  MlflowMetric,
  MlflowRun,
  MlflowRunInfo,
  MlflowRunStatus,
  MlflowTag,
} from '../ports/mlflow-store.ts';
import type { Store } from '../ports/store.ts';

/** Runs or experiments of one page; a client that wants more follows the page's token. */
const MAX_PAGE = 1000;
const MAX_METRIC_PAGE = 25_000;
const MAX_EXPERIMENTS_SEARCHED = 1000;
/** The client keeps a run's name in this tag too. */
const NAME_TAG = 'mlflow.runName';

export interface Page<T> {
  readonly items: readonly T[];
  /** Token of the next page; undefined at the end. */
  readonly next: string | undefined;
}

export interface PageRequest {
  readonly token: string | undefined;
  readonly limit: number | undefined;
}

export interface RunEntries {
  readonly metrics: readonly MlflowMetric[];
  readonly params: readonly MlflowTag[];
  readonly tags: readonly MlflowTag[];
}

/** Experiments and runs as MLflow's tracking API has them. Errors are NOT_FOUND, CONFLICT and INPUT_INVALID (all user). */
export class MlflowService {
  readonly #store: Store;
  readonly #clock: () => Date;

  constructor(options: { store: Store; clock: () => Date }) {
    this.#store = options.store;
    this.#clock = options.clock;
  }

  async createExperiment(name: string, tags: readonly MlflowTag[]): Promise<MlflowExperiment> {
    const now = this.#clock().getTime();
    const made = await this.#store.mlflow.createExperiment({ name, tags, lifecycle: 'active', createdMs: now, updatedMs: now });
    if (made === undefined) throw new AppError('CONFLICT', { message: `Experiment(name=${name}) already exists.` });
    return made;
  }

  async experiment(id: string): Promise<MlflowExperiment> {
    const found = await this.#store.mlflow.getExperiment({ id: experimentNumber(id) });
    if (found === undefined) throw experimentNotFound(id);
    return found;
  }

  async experimentByName(name: string): Promise<MlflowExperiment> {
    const found = await this.#store.mlflow.getExperiment({ name });
    if (found === undefined) throw new AppError('NOT_FOUND', { message: `Could not find experiment with name '${name}'` });
    return found;
  }

  async listExperiments(lifecycles: readonly MlflowLifecycle[], page: PageRequest): Promise<Page<MlflowExperiment>> {
    return await paged(page, MAX_PAGE, (range) => this.#store.mlflow.listExperiments({ lifecycles, ...range }));
  }

  async updateExperiment(id: string, change: { name?: string; lifecycle?: MlflowLifecycle; tag?: MlflowTag }): Promise<void> {
    const updatedMs = this.#clock().getTime();
    if (!(await this.#store.mlflow.updateExperiment(experimentNumber(id), { ...change, updatedMs }))) throw experimentNotFound(id);
  }

  async createRun(request: {
    experiment: string;
    name: string;
    user: string;
    startMs: number | undefined;
    tags: readonly MlflowTag[];
  }): Promise<MlflowRun> {
    const experiment = await this.experiment(request.experiment);
    if (experiment.lifecycle !== 'active') {
      throw new AppError('INPUT_INVALID', { message: `The experiment ${experiment.id} must be in the 'active' state.` });
    }
    const id = randomUUID().replaceAll('-', '');
    const name = request.name || request.tags.find(({ key }) => key === NAME_TAG)?.value || `run-${id.slice(0, 8)}`;
    const startMs = request.startMs ?? this.#clock().getTime();
    const run: MlflowRunInfo = {
      ...{ id, name, startMs, experiment: experiment.id, user: request.user },
      ...{ status: 'RUNNING', endMs: null, lifecycle: 'active' },
    };
    await this.#store.mlflow.createRun(run, [...request.tags.filter(({ key }) => key !== NAME_TAG), { key: NAME_TAG, value: name }]);
    return await this.run(id);
  }

  async run(id: string): Promise<MlflowRun> {
    const found = await this.#store.mlflow.getRun(id);
    if (found === undefined) throw runNotFound(id);
    return found;
  }

  async updateRun(id: string, change: { name?: string; status?: MlflowRunStatus; endMs?: number }): Promise<MlflowRun> {
    await this.#activeRun(id);
    await this.#store.mlflow.updateRun(id, change);
    if (change.name !== undefined)
      await this.#store.mlflow.log(id, { metrics: [], params: [], tags: [{ key: NAME_TAG, value: change.name }] });
    return await this.run(id);
  }

  async setLifecycle(id: string, lifecycle: MlflowLifecycle): Promise<void> {
    if (!(await this.#store.mlflow.updateRun(id, { lifecycle }))) throw runNotFound(id);
  }

  async searchRuns(
    request: { experiments: readonly string[]; filter: string; orderBy: readonly string[]; lifecycles: readonly MlflowLifecycle[] },
    page: PageRequest,
  ): Promise<Page<MlflowRun>> {
    const { experiments, filter, orderBy, lifecycles } = request;
    if (experiments.length > MAX_EXPERIMENTS_SEARCHED) {
      throw new AppError('INPUT_INVALID', { message: `At most ${MAX_EXPERIMENTS_SEARCHED} experiments are searched at once.` });
    }
    const search = {
      experiments: experiments.map(experimentNumber),
      filter: parseFilter(filter),
      order: parseOrderBy(orderBy),
      lifecycles,
    };
    return await paged(page, MAX_PAGE, (range) => this.#store.mlflow.searchRuns({ ...search, ...range }));
  }

  async log(id: string, entries: RunEntries): Promise<void> {
    await this.#activeRun(id);
    await this.#store.mlflow.log(id, entries);
    const name = entries.tags.find(({ key }) => key === NAME_TAG)?.value;
    if (name !== undefined && name !== '') await this.#store.mlflow.updateRun(id, { name });
  }

  async deleteTag(id: string, key: string): Promise<void> {
    await this.#activeRun(id);
    if (!(await this.#store.mlflow.deleteTag(id, key))) {
      throw new AppError('NOT_FOUND', { message: `No tag with name: ${key} in run with id ${id}` });
    }
  }

  async metricHistory(id: string, key: string, page: PageRequest): Promise<Page<MlflowMetric>> {
    await this.run(id);
    return await paged(page, MAX_METRIC_PAGE, (range) => this.#store.mlflow.readMetric(id, key, range));
  }

  async #activeRun(id: string): Promise<void> {
    const { lifecycle } = await this.run(id);
    if (lifecycle !== 'active') throw new AppError('INPUT_INVALID', { message: `The run ${id} must be in the 'active' state.` });
  }
}

/** Where the client puts a run's files: it turns this into the address of the artifact proxy. */
export function artifactUri({ id, experiment }: Pick<MlflowRunInfo, 'id' | 'experiment'>): string {
  return `mlflow-artifacts:/${experiment}/${id}/artifacts`;
}

async function paged<T>(
  { token, limit = MAX_PAGE }: PageRequest,
  maxLimit: number,
  read: (range: { offset: number; limit: number }) => Promise<T[]>,
): Promise<Page<T>> {
  const offset = offsetOf(token);
  const size = Math.min(Math.max(1, limit), maxLimit);
  const items = await read({ offset, limit: size + 1 });
  const next = items.length > size ? Buffer.from(String(offset + size)).toString('base64url') : undefined;
  return { items: items.slice(0, size), next };
}

function offsetOf(token: string | undefined): number {
  if (token === undefined || token === '') return 0;
  const text = Buffer.from(token, 'base64url').toString();
  if (!/^\d{1,9}$/.test(text)) throw new AppError('INPUT_INVALID', { message: 'Invalid page token.' });
  return Number(text);
}

function experimentNumber(id: string): number {
  if (!/^\d{1,9}$/.test(id)) throw experimentNotFound(id);
  return Number(id);
}

const experimentNotFound = (id: string) => new AppError('NOT_FOUND', { message: `No Experiment with id=${id} exists` });
const runNotFound = (id: string) => new AppError('NOT_FOUND', { message: `Run with id=${id} not found` });
