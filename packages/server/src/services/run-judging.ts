import {
  AppError,
  type DatasetVersion,
  type Issue,
  type PipelineSpec,
  type RunEvaluation,
  type RunSpec,
  toAppError,
  trainingKind,
} from '@selvedge/contract';
import { evaluatedPath, evaluationIssue, mergeEvaluations, type NamedDataset, namedDatasets, wantedOfOwnData } from '../domain/criteria.ts';
import { registeredSteps } from '../domain/step-graph.ts';
import type { Store } from '../ports/store.ts';
import type { DatasetService } from './dataset-service.ts';

/** What a run is judged by: the criteria of its pipeline's task, with the versions of the datasets that they name. */
export class RunJudging {
  readonly #options: { store: Store; datasets: DatasetService };

  constructor(options: { store: Store; datasets: DatasetService }) {
    this.#options = options;
  }

  /**
   * Pins what the task of a pipeline wants now. Nothing for a pipeline without a task, or that registers no model.
   *
   * @param trained - the version that the run learns from.
   * @throws AppError REFERENCE_MISSING when the task is not there; REFERENCE_MISSING or CONFLICT, with the path in the task,
   * when a dataset that it names is not there or not ready; INPUT_INVALID when the model cannot be measured on it.
   */
  async pin(pipeline: string, spec: PipelineSpec, trained: DatasetVersion): Promise<Pick<RunSpec, 'wanted' | 'evaluations'>> {
    if (spec.task === undefined) return {};
    const task = await this.#options.store.get('Task', spec.task);
    if (task === undefined) {
      throw new AppError('REFERENCE_MISSING', {
        message: `Pipeline "${pipeline}" is for the task "${spec.task}", which does not exist.`,
        hint: 'Apply a Task of that name, or take "task" out of the pipeline file.',
      });
    }
    if (registeredSteps(spec) === undefined) return {};
    const criterias = task.spec.evaluation_criterias;
    const wanted = wantedOfOwnData(criterias);
    const evaluations: RunEvaluation[] = [];
    const issues: Issue[] = [];
    for (const named of namedDatasets(criterias)) {
      const found = await this.#evaluate(named, spec, trained, task.metadata.name);
      if ('dataset' in found) evaluations.push(found);
      else issues.push(found);
    }
    if (issues.length > 0) {
      throw new AppError('INPUT_INVALID', {
        message: `What pipeline "${pipeline}" makes cannot be measured as task "${spec.task}" wants.`,
        hint: 'Change the criterion of the task, or give the dataset a version that fits, and start the run again.',
        issues,
      });
    }
    return {
      ...(wanted.length === 0 ? {} : { wanted }),
      ...(evaluations.length === 0 ? {} : { evaluations: mergeEvaluations(evaluations) }),
    };
  }

  async #evaluate(named: NamedDataset, spec: PipelineSpec, trained: DatasetVersion, task: string): Promise<RunEvaluation | Issue> {
    const { version, digest } = await this.#resolve(named, task);
    const [content, own] = [version.status.content, trained.status.content];
    // versions of before the type was kept are of pictures
    const facts = (of: DatasetVersion) => ({
      type: of.status.content?.type ?? ('image-classification' as const),
      labels: of.status.content?.labels ?? [],
    });
    const isEmbedding = trainingKind(spec.train ?? {}) === 'identity';
    const issue = evaluationIssue(named, { ...facts(version), version: version.spec.version }, facts(trained), isEmbedding);
    if (issue !== undefined) return issue;
    return {
      dataset: { name: named.name, version: version.spec.version, digest, artifact: version.status.artifact },
      path: evaluatedPath(content ?? { splits: {} }),
      ...(isEmbedding ? {} : { labels: own?.labels ?? [] }),
      wanted: named.wanted,
    };
  }

  /** The path says which criterion it was that cannot be kept. */
  async #resolve({ path, name, version }: NamedDataset, task: string) {
    try {
      return await this.#options.datasets.resolve(name, version);
    } catch (cause) {
      const error = toAppError(cause);
      if (error.code !== 'REFERENCE_MISSING' && error.code !== 'CONFLICT') throw error;
      const issues = [{ path, message: `names "${name}${version === undefined ? '' : `@${version}`}"` }];
      throw new AppError(error.code, { ...error.details, message: `Task "${task}", ${path}: ${error.message}`, issues }, { cause: error });
    }
  }
}
