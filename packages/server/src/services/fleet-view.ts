import type { AnyResource, Device, InferenceModel, Kind, Model, ModelVersion, ServerEvent } from '@selvedge/contract';
import type { ResourceOf, ResourceStore } from '../ports/store.ts';

const PAGE = 200;

/**
 * The resources that placement looks at, kept in memory: loaded whole from the store now and then, and brought forward by
 * events in between. An event that arrives while a load is under way is applied on top of it.
 */
export class FleetView {
  devices = new Map<string, Device>();
  inferenceModels = new Map<string, InferenceModel>();
  models = new Map<string, Model>();
  /** By `model/version`. */
  versions = new Map<string, ModelVersion>();
  #heldBack: ServerEvent[] | undefined;

  async load(store: ResourceStore): Promise<void> {
    this.#heldBack = [];
    try {
      const devices = await readAll(store, 'Device');
      const inferenceModels = await readAll(store, 'InferenceModel');
      const models = await readAll(store, 'Model');
      const versions = await readAll(store, 'ModelVersion');
      this.devices = byName(devices);
      this.inferenceModels = byName(inferenceModels);
      this.models = byName(models);
      this.versions = new Map(versions.map((version) => [versionKey(version), version]));
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
      default:
        return false;
    }
  }

  findVersion(model: string, version: string): ModelVersion | undefined {
    return this.versions.get(`${model}/${version}`);
  }
}

function versionKey({ spec }: ModelVersion): string {
  return `${spec.model}/${spec.version}`;
}

function byName<R extends AnyResource>(resources: readonly R[]): Map<string, R> {
  return new Map(resources.map((resource) => [resource.metadata.name, resource]));
}

async function readAll<K extends Kind>(store: ResourceStore, kind: K): Promise<ResourceOf<K>[]> {
  const all: ResourceOf<K>[] = [];
  let after: string | null = '';
  while (after !== null) {
    const page: { items: ResourceOf<K>[]; next: string | null } = await store.list(kind, {
      limit: PAGE,
      ...(after === '' ? {} : { after }),
    });
    all.push(...page.items);
    after = page.next;
    if (after !== null) await new Promise((resolve) => setImmediate(resolve)); // a large fleet must not hold up its messages
  }
  return all;
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
  const facts = ({ metadata, status }: Device) =>
    JSON.stringify([metadata.labels, status.online, status.info?.hostname, status.observedRevision, status.workloads]);
  return facts(a) === facts(b);
}
