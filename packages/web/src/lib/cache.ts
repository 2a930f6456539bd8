import { KIND_NAMES, type Kind, type MetricPoint, type ModelVersion, type Module, type ServerEvent } from '@selvedge/contract';
import type { QueryClient } from '@tanstack/react-query';
import type { KindOf, ModelDetail, Telemetry } from './cached.ts';
import { appendPoints, appendSample, patchModule, patchResource, patchResources, type ResourceEvent } from './patch.ts';

/** Keys of everything the page caches. */
export const keys = {
  whoami: ['whoami'],
  modules: ['modules'],
  targets: ['targets'],
  deviceJoins: ['device-joins'],
  deviceTokens: ['device-tokens'],
  caStatus: ['ca-status'],
  list: (kind: Kind) => ['list', kind],
  resource: (kind: Kind, name: string) => ['resource', kind, name],
  model: (name: string) => ['model', name],
  taskComparison: (task: string) => ['task-comparison', task],
  runMetrics: (run: string) => ['run-metrics', run],
  telemetry: (device: string) => ['telemetry', device],
} as const;

/** Brings the cache up to date with events, without asking the server. What is not cached is left alone. */
export function applyEvents(cache: QueryClient, events: readonly ServerEvent[]): void {
  for (const kind of KIND_NAMES) patchKind(cache, kind, events);
  for (const event of events) {
    if (event.type === 'metric') {
      cache.setQueryData<readonly MetricPoint[]>(keys.runMetrics(event.run), (old) => old && appendPoints(old, event.points));
    } else if (event.type === 'module') {
      cache.setQueryData<readonly Module[]>(keys.modules, (old) => old && patchModule(old, event.module));
    } else {
      applyToDetails(cache, event);
    }
  }
}

function patchKind<K extends Kind>(cache: QueryClient, kind: K, events: readonly ServerEvent[]): void {
  if (!events.some((event) => event.type === 'resource' && event.resource.kind === kind)) return;
  cache.setQueryData<readonly KindOf<K>[]>(keys.list(kind), (old) => old && patchResources(old, kind, events));
}

function applyToDetails(cache: QueryClient, { action, resource }: ResourceEvent): void {
  const { name } = resource.metadata;
  const key = keys.resource(resource.kind, name);
  if (action === 'deleted') {
    // The next look says "not found" in the server's words.
    void cache.invalidateQueries({ queryKey: key });
    if (resource.kind === 'Model') void cache.invalidateQueries({ queryKey: keys.model(name) });
  } else {
    cache.setQueryData<typeof resource>(key, (old) => old && (patchResource([old], action, resource)[0] ?? old));
  }
  if (resource.kind === 'Model' && action === 'written') {
    cache.setQueryData<ModelDetail>(keys.model(name), (old) => old && { ...old, model: resource });
  }
  if (resource.kind === 'ModelVersion') {
    cache.setQueryData<ModelDetail>(keys.model(resource.spec.model), (old) => old && patchVersions(old, action, resource));
  }
  if (resource.kind === 'Device' && resource.status.telemetry !== null) {
    const sample = resource.status.telemetry;
    cache.setQueriesData<Telemetry>({ queryKey: keys.telemetry(name) }, (old) => old && appendSample(old, sample));
  }
}

/** Versions stay newest first, as the server lists them. */
function patchVersions(detail: ModelDetail, action: 'written' | 'deleted', version: ModelVersion): ModelDetail {
  const versions = patchResource(detail.versions, action, version);
  if (versions === detail.versions) return detail;
  return { ...detail, versions: versions.toSorted((a, b) => b.metadata.createdAt.localeCompare(a.metadata.createdAt)) };
}
