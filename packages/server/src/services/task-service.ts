import { AppError, type TaskComparison } from '@selvedge/contract';
import { compareTask, type PipelineEntry } from '../domain/task-comparison.ts';
import type { Store } from '../ports/store.ts';
import { readAll } from './read-all.ts';

/** Tasks, and how their pipelines do. */
export class TaskService {
  readonly #options: { store: Store };

  constructor(options: { store: Store }) {
    this.#options = options;
  }

  /** The pipelines of a task side by side, by the criteria that it has now. @throws AppError NOT_FOUND. */
  async compare(name: string): Promise<TaskComparison> {
    const { store } = this.#options;
    const task = await store.get('Task', name);
    if (task === undefined)
      throw new AppError('NOT_FOUND', { message: `There is no task "${name}".`, hint: '"selvedge task list" shows the tasks.' });
    const pipelines = await readAll(store, 'Pipeline');
    const runs = new Map((await readAll(store, 'Run')).map((run) => [run.metadata.name, run]));
    const versions = await readAll(store, 'ModelVersion');
    const entries = pipelines
      .filter(({ spec }) => spec.task === name)
      .map(({ metadata }): PipelineEntry => {
        const own = versions.filter(({ spec }) => spec.lineage?.pipeline === metadata.name);
        return {
          pipeline: metadata.name,
          runs: [...runs.values()].filter(({ spec }) => spec.pipeline === metadata.name).length,
          contestants: own.map((version) => ({ version, run: runs.get(version.spec.lineage?.run ?? '') })),
        };
      });
    return compareTask(task, entries);
  }
}
