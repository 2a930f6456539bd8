import type { GateResult, ModelVersion, Run } from '@selvedge/contract';
import { AppError } from '@selvedge/contract';
import { scoreCriteria } from '../domain/version-gates.ts';
import type { Store } from '../ports/store.ts';
import type { ModelRegistry } from './model-registry.ts';

/** What a run knows of the version that was made of it. */
export interface Registered {
  modelVersion: string;
  criteria?: GateResult[];
}

/** The step `register`: a version of what the run has made, or the best run of its sweep. */
export class RunRegistration {
  readonly #options: { store: Store; registry: ModelRegistry };

  constructor(options: { store: Store; registry: ModelRegistry }) {
    this.#options = options;
  }

  async register(run: Run, signal: AbortSignal): Promise<Registered> {
    const version = await this.#options.registry.registerRun(await this.#source(run), signal);
    const criteria = await this.#criteriaOf(run, version);
    return { modelVersion: `${version.spec.model}/${version.spec.version}`, ...(criteria === undefined ? {} : { criteria }) };
  }

  async #source(run: Run): Promise<Run> {
    if (run.spec.pipelineSpec.sweep === undefined) return run;
    const best = run.status.sweep?.best?.run ?? '';
    const found = await this.#options.store.get('Run', best);
    if (found !== undefined) return found;
    throw new AppError('REFERENCE_MISSING', { message: `The best run of the sweep, "${best}", has been removed.` });
  }

  /** The benchmark's report, judged by what the task says that models are judged by. */
  async #criteriaOf(run: Run, version: ModelVersion): Promise<GateResult[] | undefined> {
    const { task: name } = run.spec.pipelineSpec;
    const task = name === undefined ? undefined : await this.#options.store.get('Task', name);
    return task === undefined ? undefined : scoreCriteria(version, task);
  }
}
