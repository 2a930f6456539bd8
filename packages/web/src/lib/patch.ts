import type { AnyResource, Metadata, MetricPoint, Module, ServerEvent, TelemetrySample } from '@selvedge/contract';

/** Pure changes of cached lists by events. Every function returns the very same array when nothing changed. */

export type ResourceEvent = Extract<ServerEvent, { type: 'resource' }>;

interface Named {
  readonly metadata: Pick<Metadata, 'name' | 'uid' | 'resourceVersion'>;
}

/**
 * Puts a written resource in its place, or takes a deleted one out. An event older than what the list holds (the list
 * was fetched after it) changes nothing; one about another resource of the same name (deleted and made anew) replaces it.
 */
export function patchResource<T extends Named>(items: readonly T[], action: 'written' | 'deleted', resource: T): readonly T[] {
  const index = items.findIndex((item) => item.metadata.name === resource.metadata.name);
  const current = items[index];
  if (current === undefined) return action === 'deleted' ? items : [...items, resource];
  const { uid, resourceVersion } = current.metadata;
  if (action === 'deleted') return uid === resource.metadata.uid ? items.filter((_, i) => i !== index) : items;
  if (uid === resource.metadata.uid && resourceVersion >= resource.metadata.resourceVersion) return items;
  return items.with(index, resource);
}

/** `patchResource` for every event of the wanted kind, in order. */
export function patchResources<K extends AnyResource['kind']>(
  items: readonly Extract<AnyResource, { kind: K }>[],
  kind: K,
  events: readonly ServerEvent[],
): readonly Extract<AnyResource, { kind: K }>[] {
  return events.reduce((list, event) => {
    if (event.type !== 'resource' || !isKind(event.resource, kind)) return list;
    return patchResource(list, event.action, event.resource);
  }, items);
}

/** Narrows a resource to one kind. */
export function isKind<K extends AnyResource['kind']>(resource: AnyResource, kind: K): resource is Extract<AnyResource, { kind: K }> {
  return resource.kind === kind;
}

/** Adds points that are not there yet (same metric, step and time), at the end. */
export function appendPoints(points: readonly MetricPoint[], added: readonly MetricPoint[]): readonly MetricPoint[] {
  const keyOf = (point: MetricPoint) => `${point.metric}\n${point.step}\n${point.at}`;
  const known = new Set(points.map(keyOf));
  const fresh = added.filter((point) => !known.has(keyOf(point)));
  return fresh.length === 0 ? points : [...points, ...fresh];
}

/** Adds a sample when it is newer than the last; the oldest beyond `limit` fall out. */
export function appendSample(samples: readonly TelemetrySample[], sample: TelemetrySample, limit = 5000): readonly TelemetrySample[] {
  const last = samples.at(-1);
  if (last !== undefined && last.at >= sample.at) return samples;
  return [...samples, sample].slice(-limit);
}

/** Replaces the module of the same name, or adds it. */
export function patchModule(modules: readonly Module[], module: Module): readonly Module[] {
  const index = modules.findIndex((item) => item.name === module.name);
  return index < 0 ? [...modules, module] : modules.with(index, module);
}
