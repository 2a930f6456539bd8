import {
  type AnyDocument,
  type AnyResource,
  AppError,
  type applyResultSchema,
  findKind,
  type Issue,
  KINDS,
  type Kind,
  parseLabelSelector,
  RUNTIME_ANNOTATION,
  type Target,
  type Task,
} from '@selvedge/contract';
import type * as z from 'zod';
import { NEW_PACKAGE_STATUS } from '../domain/package-plan.ts';
import type { ResourceDraft, Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';
import { listSelected, readSelection } from './label-selection.ts';
import { modelVersionName } from './model-registry.ts';
import { ResourceRemoval, type ResourceRemovalOptions } from './resource-removal.ts';
import { refuseFaultySchedules, scheduleIssues } from './trigger-schedule.ts';

type ApplyResult = z.output<typeof applyResultSchema>['results'][number];

/** Annotations below this prefix are the server's own, but for the one that chooses the runtime: documents neither set nor clear them. */
const OWN_PREFIX = 'selvedge.dev/';

export interface ResourceServiceOptions extends ResourceRemovalOptions {
  /** Platforms that packages can be built for. */
  targets: () => Promise<readonly Target[]>;
}

/** Create, change, list and delete of resources of every kind. */
export class ResourceService {
  readonly #store: Store;
  readonly #removal: ResourceRemoval;
  readonly #targets: ResourceServiceOptions['targets'];

  constructor(options: ResourceServiceOptions) {
    this.#store = options.store;
    this.#removal = new ResourceRemoval(options);
    this.#targets = options.targets;
  }

  /**
   * Makes resources as the documents say; applying twice changes nothing. Labels and annotations that a document leaves
   * out stay as they are. Nothing is written when one of the documents cannot be applied.
   *
   * @throws AppError INPUT_INVALID (a resource twice), NOT_FOUND (a Device that has not joined), REFERENCE_MISSING (the version
   * that a Package is of), TARGET_UNKNOWN.
   */
  async apply(documents: readonly AnyDocument[], options: { dryRun: boolean }): Promise<ApplyResult[]> {
    await this.#check(documents);
    const results: ApplyResult[] = [];
    for (const document of documents) {
      results.push(options.dryRun ? await this.#preview(document) : await this.#applyOne(document));
    }
    if (!options.dryRun) await this.#refreshTasks(documents);
    return results;
  }

  /** @throws AppError NOT_FOUND for an unknown plural. */
  kindOf(plural: string): Kind {
    const kind = findKind(plural);
    if (kind !== undefined) return kind;
    const plurals = Object.values(KINDS).map((entry) => entry.plural);
    throw new AppError('NOT_FOUND', { message: `There is no kind of resource "${plural}".`, hint: `Kinds: ${plurals.join(', ')}.` });
  }

  /** @throws AppError INPUT_INVALID (the selector), NOT_FOUND (the kind, or a group that the selector names). */
  async list(plural: string, query: { selector?: string | undefined; limit?: number | undefined; after?: string | undefined }) {
    const { selector, limit, after } = query;
    const page = { ...(limit === undefined ? {} : { limit }), ...(after === undefined ? {} : { after }) };
    const kind = this.kindOf(plural);
    if (selector === undefined) return this.#store.list(kind, page);
    return listSelected(this.#store, kind, await readSelection(this.#store, selector), page);
  }

  /** @throws AppError NOT_FOUND. */
  async get(plural: string, name: string): Promise<AnyResource> {
    const kind = this.kindOf(plural);
    const found = await this.#store.get(kind, name);
    if (found !== undefined) return found;
    throw new AppError('NOT_FOUND', {
      message: `There is no ${kind} "${name}".`,
      hint: `"selvedge get ${KINDS[kind].plural}" lists what there is.`,
    });
  }

  /** @throws AppError NOT_FOUND; CONFLICT while something else needs the resource. */
  async remove(plural: string, name: string): Promise<void> {
    const kind = this.kindOf(plural);
    await this.get(plural, name);
    await this.#removal.remove(kind, name);
    if (kind === 'Pipeline') await this.#refreshAllTasks();
  }

  async #check(documents: readonly AnyDocument[]): Promise<void> {
    const seen = new Set<string>();
    const issues: { path: string; message: string }[] = [];
    for (const [index, { kind, metadata }] of documents.entries()) {
      const key = `${kind}/${metadata.name}`;
      if (seen.has(key)) issues.push({ path: `documents[${index}].metadata.name`, message: `${kind} "${metadata.name}" is given twice` });
      seen.add(key);
    }
    if (issues.length > 0) throw new AppError('INPUT_INVALID', { message: 'A resource is given more than once.', issues });
    for (const { kind, metadata } of documents) {
      if (kind !== 'Device' || (await this.#store.get('Device', metadata.name)) !== undefined) continue;
      throw new AppError('NOT_FOUND', {
        message: `There is no device "${metadata.name}".`,
        hint: 'A device comes into being by joining: make a token with "selvedge device token".',
      });
    }
    refuseFaultySchedules(
      documents.flatMap((document, index) =>
        document.kind === 'Pipeline' ? scheduleIssues(document.spec.triggers, `documents[${index}].spec.triggers`) : [],
      ),
    );
    refuseFaultyGroups(documents);
    await this.#checkPackages(documents);
  }

  async #checkPackages(documents: readonly AnyDocument[]): Promise<void> {
    const missing: Issue[] = [];
    for (const [index, { kind, spec }] of documents.entries()) {
      if (kind !== 'Package') continue;
      const names = (await this.#targets()).map((target) => target.name);
      if (!names.includes(spec.target)) {
        const message = `is not a target; there are ${names.join(', ')}`;
        throw new AppError('TARGET_UNKNOWN', {
          message: `There is no target "${spec.target}".`,
          hint: '"selvedge target list" shows all of them.',
          issues: [{ path: `documents[${index}].spec.target`, message }],
        });
      }
      if ((await this.#store.get('ModelVersion', modelVersionName(spec.model, spec.version))) === undefined)
        missing.push({ path: `documents[${index}].spec.version`, message: `model "${spec.model}" has no version "${spec.version}"` });
    }
    if (missing.length === 0) return;
    const hint = '"selvedge model show NAME" lists the versions of a model; an alias like "latest" must be written out here.';
    throw new AppError('REFERENCE_MISSING', { message: 'A package is of a model version that does not exist.', hint, issues: missing });
  }

  async #preview(document: AnyDocument): Promise<ApplyResult> {
    const { kind, metadata } = document;
    const current = await this.#store.get(kind, metadata.name);
    if (current === undefined) return { kind, name: metadata.name, action: 'created', generation: 1 };
    const sameSpec = isEqual(current.spec, document.spec);
    const sameLabels = isEqual(current.metadata.labels, labelsAfter(current, document));
    const same = sameSpec && sameLabels && isEqual(current.metadata.annotations, annotationsAfter(current, document));
    const generation = current.metadata.generation + (sameSpec ? 0 : 1);
    return { kind, name: metadata.name, action: same ? 'unchanged' : 'configured', generation };
  }

  async #applyOne(document: AnyDocument): Promise<ApplyResult> {
    // One branch per kind, because only then do spec and status have the types of one another.
    switch (document.kind) {
      case 'Device':
        return this.#write('Device', document, document.spec, undefined);
      case 'DeviceGroup':
        return this.#write('DeviceGroup', document, document.spec, {});
      case 'Dataset':
        return this.#write('Dataset', document, document.spec, { latestVersion: null, versions: [] });
      case 'Task':
        return this.#write('Task', document, document.spec, { pipelines: [] });
      case 'Pipeline':
        return this.#write('Pipeline', document, document.spec, { lastRun: null, lastRunState: null });
      case 'Model':
        return this.#write('Model', document, document.spec, { aliases: {}, versions: [] });
      case 'Package':
        return this.#write('Package', document, document.spec, NEW_PACKAGE_STATUS);
      case 'InferenceModel':
        return this.#write('InferenceModel', document, document.spec, {
          url: '',
          servingVersion: '',
          resolvedVersion: '',
          observedGeneration: 0,
          devices: [],
          conditions: [],
        });
    }
  }

  async #write<K extends Kind>(
    kind: K,
    document: AnyDocument,
    spec: ResourceDraft<K>['spec'],
    firstStatus: ResourceDraft<K>['status'] | undefined,
  ): Promise<ApplyResult> {
    const { name, labels = {}, annotations = {} } = document.metadata;
    let before = 0;
    const updated = await this.#store.update(kind, name, (current) => {
      before = current.metadata.resourceVersion;
      if (isEqual(current.spec, spec) && isEqual(current.metadata.labels, labelsAfter(current, document))) {
        if (isEqual(current.metadata.annotations, annotationsAfter(current, document))) return undefined;
      }
      return draftOf<K>(current, { labels: labelsAfter(current, document), annotations: annotationsAfter(current, document), spec });
    });
    if (updated !== undefined) {
      const action = updated.metadata.resourceVersion === before ? 'unchanged' : 'configured';
      return { kind, name, action, generation: updated.metadata.generation };
    }
    if (firstStatus === undefined) throw new AppError('NOT_FOUND', { message: `There is no ${kind} "${name}".` });
    const created = await this.#store.create(kind, { name, labels, annotations, spec, status: firstStatus });
    return { kind, name, action: 'created', generation: created.metadata.generation };
  }

  async #refreshTasks(documents: readonly AnyDocument[]): Promise<void> {
    if (documents.some(({ kind }) => kind === 'Task' || kind === 'Pipeline')) await this.#refreshAllTasks();
  }

  /** A task shows the pipelines that are for it. */
  async #refreshAllTasks(): Promise<void> {
    const pipelines: { name: string; task: string | undefined }[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#store.list('Pipeline', after === undefined ? {} : { after });
      pipelines.push(...page.items.map(({ metadata, spec }) => ({ name: metadata.name, task: spec.task })));
      after = page.next;
    }
    const tasks: Task[] = (await this.#store.list('Task')).items;
    for (const task of tasks) {
      const names = pipelines.filter((pipeline) => pipeline.task === task.metadata.name).map((pipeline) => pipeline.name);
      await this.#store.update('Task', task.metadata.name, (current) => draftOf(current, { status: { pipelines: names } }));
    }
  }
}

/** @throws AppError INPUT_INVALID. */
function refuseFaultyGroups(documents: readonly AnyDocument[]): void {
  for (const [index, { kind, spec }] of documents.entries()) {
    if (kind !== 'DeviceGroup' || !parseLabelSelector(spec.selector).some(({ op }) => op === 'group')) continue;
    const message = 'A device group is made of labels, not of other groups.';
    throw new AppError('INPUT_INVALID', { message, issues: [{ path: `documents[${index}].spec.selector`, message }] });
  }
}

type WithMetadata = Pick<AnyResource, 'metadata'>;

function labelsAfter(current: WithMetadata, document: AnyDocument): Record<string, string> {
  return document.metadata.labels ?? current.metadata.labels;
}

function annotationsAfter(current: WithMetadata, document: AnyDocument): Record<string, string> {
  if (document.metadata.annotations === undefined) return current.metadata.annotations;
  const own = Object.entries(current.metadata.annotations).filter(([key]) => key.startsWith(OWN_PREFIX) && key !== RUNTIME_ANNOTATION);
  return { ...document.metadata.annotations, ...Object.fromEntries(own) };
}

/** Deep equality of plain data; the order of keys does not matter. */
function isEqual(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
