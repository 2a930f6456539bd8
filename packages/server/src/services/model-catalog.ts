import { AppError, type DatasetImpact, type Model, type ModelLineage, type ModelVersion, NOTE_ANNOTATION } from '@selvedge/contract';
import { datasetImpact, modelLineage } from '../domain/lineage.ts';
import { modelCard } from '../domain/model-card.ts';
import { scoreCriteria } from '../domain/version-gates.ts';
import type { Store } from '../ports/store.ts';
import { versionName } from './dataset-service.ts';
import { draftOf, withoutKey } from './draft-of.ts';
import type { ModelRegistry } from './model-registry.ts';
import { readAll } from './read-all.ts';
import type { RunReports } from './run-report.ts';

/** What people know and say of versions: aliases, notes, lineage in both directions, cards. */
export class ModelCatalog {
  readonly #options: { store: Store; registry: ModelRegistry; reports: RunReports };

  constructor(options: { store: Store; registry: ModelRegistry; reports: RunReports }) {
    this.#options = options;
  }

  /** @throws AppError NOT_FOUND when there is no such model or version. */
  async setAlias(name: string, alias: string, wanted: string): Promise<Model> {
    const { version } = (await this.#options.registry.version(name, wanted)).spec;
    return this.#changeAliases(name, (aliases) => ({ ...aliases, [alias]: version }));
  }

  /** @throws AppError NOT_FOUND when there is none of that name. */
  async removeAlias(name: string, alias: string): Promise<Model> {
    const { model } = await this.#options.registry.detail(name);
    if (!Object.hasOwn(model.status.aliases, alias))
      throw new AppError('NOT_FOUND', {
        message: `Model "${name}" has no alias "${alias}".`,
        hint: `It has: ${Object.keys(model.status.aliases).join(', ')}.`,
      });
    return this.#changeAliases(name, (aliases) => withoutKey(aliases, alias));
  }

  async #changeAliases(name: string, change: (aliases: Record<string, string>) => Record<string, string>): Promise<Model> {
    const changed = await this.#options.store.update('Model', name, (current) =>
      draftOf(current, { status: { ...current.status, aliases: change(current.status.aliases) } }),
    );
    if (changed !== undefined) return changed;
    throw new AppError('NOT_FOUND', { message: `There is no model "${name}".`, hint: '"selvedge model list" shows all models.' });
  }

  /** @param text - empty: removes the note. @throws AppError NOT_FOUND. */
  async setNote(name: string, versionOrAlias: string, text: string): Promise<ModelVersion> {
    const found = await this.#options.registry.version(name, versionOrAlias);
    const changed = await this.#options.store.update('ModelVersion', found.metadata.name, (current) => {
      const others = withoutKey(current.metadata.annotations, NOTE_ANNOTATION);
      return draftOf(current, { annotations: text === '' ? others : { ...others, [NOTE_ANNOTATION]: text } });
    });
    return changed ?? found;
  }

  /** @throws AppError NOT_FOUND. */
  async lineage(name: string, versionOrAlias: string): Promise<ModelLineage> {
    const { store, registry } = this.#options;
    const version = await registry.version(name, versionOrAlias);
    const { model } = await registry.detail(name);
    const { lineage } = version.spec;
    const dataset =
      lineage === null ? undefined : await store.get('DatasetVersion', versionName(lineage.dataset.name, lineage.dataset.version));
    return modelLineage({
      version,
      model,
      run: lineage === null ? undefined : await store.get('Run', lineage.run),
      datasetRemoved: dataset === undefined,
      packages: await readAll(store, 'Package'),
      inferenceModels: await readAll(store, 'InferenceModel'),
    });
  }

  /** Markdown. @throws AppError NOT_FOUND; TOOL_UNAVAILABLE (wait) when the benchmark's report cannot be read now. */
  async card(name: string, versionOrAlias: string, signal: AbortSignal): Promise<string> {
    const { store, registry, reports } = this.#options;
    const version = await registry.version(name, versionOrAlias);
    const lineage = await this.lineage(name, version.spec.version);
    const run = lineage.origin === null ? undefined : await store.get('Run', lineage.origin.run);
    const taskName = run?.spec.pipelineSpec.task;
    const task = taskName === undefined ? undefined : await store.get('Task', taskName);
    const report = run === undefined ? undefined : await reports.read(run, signal);
    const criteria = task === undefined ? [] : (scoreCriteria(version, task) ?? []);
    return modelCard({ version, lineage, task, criteria, report });
  }

  /** @throws AppError NOT_FOUND when there is no such dataset and nothing was ever made of one of that name. */
  async impact(dataset: string, version: number | undefined): Promise<DatasetImpact> {
    const { store } = this.#options;
    const impact = datasetImpact(dataset, version, {
      runs: await readAll(store, 'Run'),
      versions: await readAll(store, 'ModelVersion'),
      inferenceModels: await readAll(store, 'InferenceModel'),
    });
    if (impact.runs.length > 0 || impact.models.length > 0) return impact;
    const known =
      version === undefined ? await store.get('Dataset', dataset) : await store.get('DatasetVersion', versionName(dataset, version));
    if (known !== undefined) return impact;
    throw new AppError('NOT_FOUND', {
      message: `There is no dataset "${dataset}"${version === undefined ? '' : ` with a version ${version}`}.`,
      hint: '"selvedge dataset list" shows the datasets.',
    });
  }
}
