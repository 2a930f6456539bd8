import type {
  AnyResource,
  Device,
  InferenceModel,
  Kind,
  Model,
  ModelVersion,
  Package,
  Pipeline,
  Rollout,
  ServerEvent,
  Task,
} from '@selvedge/contract';
import { isBuiltOf } from '../domain/native-choice.ts';
import { type ResourceOf, type ResourceStore, stampOf } from '../ports/store.ts';
import { readAll } from './read-all.ts';

/** So many that differ are read one by one; more are read as a whole. */
const MAX_SINGLE_READS = 200;

/**
 * The resources that placement looks at, kept in memory: compared with the store now and then, and brought forward by events in
 * between. An event that arrives while a load is under way is applied on top of it.
 */
export class FleetView {
  devices = new Map<string, Device>();
  inferenceModels = new Map<string, InferenceModel>();
  models = new Map<string, Model>();
  /** By `model/version`. */
  versions = new Map<string, ModelVersion>();
  packages = new Map<string, Package>();
  pipelines = new Map<string, Pipeline>();
  tasks = new Map<string, Task>();
  rollouts = new Map<string, Rollout>();
  #heldBack: ServerEvent[] | undefined;

  async load(store: ResourceStore): Promise<void> {
    this.#heldBack = [];
    try {
      const devices = await refresh(store, 'Device', this.devices.values());
      const inferenceModels = await refresh(store, 'InferenceModel', this.inferenceModels.values());
      const models = await refresh(store, 'Model', this.models.values());
      const versions = await refresh(store, 'ModelVersion', this.versions.values());
      const packages = await refresh(store, 'Package', this.packages.values());
      const pipelines = await refresh(store, 'Pipeline', this.pipelines.values());
      const tasks = await refresh(store, 'Task', this.tasks.values());
      const rollouts = await refresh(store, 'Rollout', this.rollouts.values());
      this.devices = byName(devices);
      this.inferenceModels = byName(inferenceModels);
      this.models = byName(models);
      this.versions = new Map(versions.map((version) => [versionKey(version), version]));
      this.packages = byName(packages);
      this.pipelines = byName(pipelines);
      this.tasks = byName(tasks);
      this.rollouts = byName(rollouts);
    } finally {
      const events = this.#heldBack;
      this.#heldBack = undefined;
      for (const event of events) this.apply(event);
    }
  }

  /** @returns whether it may matter to what devices run or to what an InferenceModel's status says. */
  apply(event: ServerEvent): boolean {
    if (event.type !== 'resource') return false;
    this.#heldBack?.push(event);
    const { resource, action } = event;
    switch (resource.kind) {
      case 'Device':
        return keep(this.devices, resource.metadata.name, resource, action, sameForPlacement);
      case 'InferenceModel':
        return keep(this.inferenceModels, resource.metadata.name, resource, action, sameVersion);
      case 'Model':
        return keep(this.models, resource.metadata.name, resource, action, sameVersion);
      case 'ModelVersion':
        return keep(this.versions, versionKey(resource), resource, action, sameVersion);
      case 'Package':
        return keep(this.packages, resource.metadata.name, resource, action, samePackage);
      case 'Pipeline':
        return keep(this.pipelines, resource.metadata.name, resource, action, sameTaskOf);
      case 'Task':
        return keep(this.tasks, resource.metadata.name, resource, action, sameVersion);
      case 'Rollout':
        return keep(this.rollouts, resource.metadata.name, resource, action, sameVersion);
      default:
        return false;
    }
  }

  /** What was built of a version. */
  packagesOf(model: string, version: string): Package[] {
    return [...this.packages.values()].filter((one) => isBuiltOf(one, model, version));
  }

  /** What the pipeline that trained a version is for. */
  taskOf({ spec }: ModelVersion): Task | undefined {
    const pipeline = spec.lineage === null ? undefined : this.pipelines.get(spec.lineage.pipeline);
    return pipeline?.spec.task === undefined ? undefined : this.tasks.get(pipeline.spec.task);
  }

  findVersion(model: string, version: string): ModelVersion | undefined {
    return this.versions.get(`${model}/${version}`);
  }
}

/** All of a kind; of those that are known only what differs is read, for at thousands of devices reading is most of the work. */
async function refresh<K extends Kind>(store: ResourceStore, kind: K, known: Iterable<ResourceOf<K>>): Promise<ResourceOf<K>[]> {
  const stamps = await store.listStamps(kind);
  const same = [...known].filter((resource) => stamps.get(resource.metadata.name) === stampOf(resource));
  if (stamps.size - same.length > MAX_SINGLE_READS) return await readAll(store, kind);
  const found = new Map(same.map((resource) => [resource.metadata.name, resource]));
  for (const name of stamps.keys()) {
    const changed = found.has(name) ? undefined : await store.get(kind, name);
    if (changed !== undefined) found.set(name, changed);
  }
  return [...found.values()];
}

function versionKey({ spec }: ModelVersion): string {
  return `${spec.model}/${spec.version}`;
}

function byName<R extends AnyResource>(resources: readonly R[]): Map<string, R> {
  return new Map(resources.map((resource) => [resource.metadata.name, resource]));
}

function keep<R extends AnyResource>(
  map: Map<string, R>,
  key: string,
  resource: R,
  action: 'written' | 'deleted',
  same: (a: R, b: R) => boolean,
): boolean {
  const known = map.get(key);
  const isSame = known?.metadata.uid === resource.metadata.uid;
  if (action === 'deleted') return isSame && map.delete(key);
  if (isSame && known !== undefined && known.metadata.resourceVersion >= resource.metadata.resourceVersion) return false;
  map.set(key, resource);
  return known === undefined || !isSame || !same(known, resource);
}

function sameVersion(a: AnyResource, b: AnyResource): boolean {
  return a.metadata.resourceVersion === b.metadata.resourceVersion;
}

/** Telemetry and the like change a device often; none of it decides where anything runs. */
function sameForPlacement(a: Device, b: Device): boolean {
  const facts = ({ metadata, spec, status }: Device) =>
    JSON.stringify([metadata.labels, spec.budgets, status.online, hardware(status.info), status.observedRevision, status.workloads]);
  return facts(a) === facts(b);
}

function hardware(info: Device['status']['info']): unknown {
  return info === null ? null : [info.hostname, info.arch, info.platform, info.targets];
}

/** How a build gets on changes a package often; what was built, and how fast it is, is what counts. */
function samePackage(a: Package, b: Package): boolean {
  const facts = ({ status }: Package) => JSON.stringify([status.archive, status.manifestSha256, status.builtAt, status.benchmarks]);
  return facts(a) === facts(b);
}

function sameTaskOf(a: Pipeline, b: Pipeline): boolean {
  return a.spec.task === b.spec.task;
}
