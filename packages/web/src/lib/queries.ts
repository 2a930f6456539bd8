import type { Client, Kind, MetricPoint } from '@selvedge/contract';
import { KINDS } from '@selvedge/contract';
import { useQuery } from '@tanstack/react-query';
import { createContext, useContext } from 'react';
import { listAll } from './api.ts';
import { keys } from './cache.ts';
import type { KindOf, ModelDetail, Telemetry } from './cached.ts';
import type { EventLog } from './event-log.ts';
import type { LiveStream } from './live-stream.ts';
import { appendPoints, isKind, patchResource, patchResources } from './patch.ts';

/** What every page may use: the API, and the stream of changes. */
export interface Backend {
  readonly client: Client;
  readonly stream: LiveStream;
  readonly events: EventLog;
}

const BackendContext = createContext<Backend | undefined>(undefined);
export const BackendProvider = BackendContext.Provider;

/** @throws Error when used outside of BackendProvider: a bug of the page. */
export function useBackend(): Backend {
  const backend = useContext(BackendContext);
  if (backend === undefined) throw new Error('useBackend needs a BackendProvider above it');
  return backend;
}

/** All resources of a kind, oldest first, kept up to date by the stream. */
export function useList<K extends Kind>(kind: K) {
  const { client, events } = useBackend();
  return useQuery({
    queryKey: keys.list(kind),
    queryFn: async ({ signal }) => {
      const mark = events.mark();
      const items = await listAll(client, kind, signal);
      return patchResources(items, kind, events.since(mark));
    },
  });
}

/** One resource. */
export function useResource<K extends Kind>(kind: K, name: string) {
  const { client, events } = useBackend();
  return useQuery({
    queryKey: keys.resource(kind, name),
    queryFn: async ({ signal }) => {
      const mark = events.mark();
      const resource = await client.getResource({ params: { plural: KINDS[kind].plural, name }, signal });
      if (!isKind(resource, kind)) throw new Error(`the server answered with a ${resource.kind} instead of a ${kind}`);
      return events.since(mark).reduce<KindOf<K>>((newest, event) => {
        if (event.type !== 'resource' || event.action === 'deleted' || !isKind(event.resource, kind)) return newest;
        return event.resource.metadata.name === name ? (patchResource([newest], 'written', event.resource)[0] ?? newest) : newest;
      }, resource);
    },
  });
}

export function useModules() {
  const { client } = useBackend();
  return useQuery({
    queryKey: keys.modules,
    queryFn: async ({ signal }) => (await client.listModules({ signal })).items,
    // Load (busyWith, queued) changes without an event of its own on older servers.
    refetchInterval: 30_000,
  });
}

export function useWhoami() {
  const { client } = useBackend();
  return useQuery({ queryKey: keys.whoami, queryFn: ({ signal }) => client.getWhoami({ signal }), staleTime: 300_000 });
}

/** A model with its versions, newest first. */
export function useModel(name: string) {
  const { client } = useBackend();
  return useQuery({
    queryKey: keys.model(name),
    queryFn: async ({ signal }): Promise<ModelDetail> => client.getModel({ params: { name }, signal }),
  });
}

/** The pipelines of a task side by side. It is computed of many resources, so it is asked for again and not patched. */
export function useTaskComparison(task: string) {
  const { client } = useBackend();
  return useQuery({
    queryKey: keys.taskComparison(task),
    queryFn: ({ signal }) => client.compareTask({ params: { name: task }, signal }),
    refetchInterval: 30_000,
  });
}

/** More points than a chart has pixels show nothing more. */
const CHART_POINTS = 1000;

/** The points of every metric of a run, thinned where there are many; grows while it runs. */
export function useRunMetrics(run: string) {
  const { client, events } = useBackend();
  return useQuery({
    queryKey: keys.runMetrics(run),
    queryFn: async ({ signal }): Promise<readonly MetricPoint[]> => {
      const mark = events.mark();
      const { points } = await client.getRunMetrics({ params: { name: run }, query: { max: CHART_POINTS }, signal });
      const missed = events.since(mark).flatMap((event) => (event.type === 'metric' && event.run === run ? event.points : []));
      return appendPoints(points, missed);
    },
  });
}

/** What the models on a device answered in the last `hours`, oldest first. */
export function useDeviceResults(device: string, hours: number) {
  const { client } = useBackend();
  return useQuery({
    queryKey: ['results', device, hours],
    queryFn: async ({ signal }) => {
      const since = new Date(Date.now() - hours * 3_600_000).toISOString();
      return (await client.getDeviceResults({ params: { name: device }, query: { since }, signal })).results;
    },
    refetchInterval: 60_000,
  });
}

/** Samples of a device of the last `hours`, oldest first. */
export function useTelemetry(device: string, hours: number) {
  const { client } = useBackend();
  return useQuery({
    queryKey: [...keys.telemetry(device), hours],
    queryFn: async ({ signal }): Promise<Telemetry> => {
      const since = new Date(Date.now() - hours * 3_600_000).toISOString();
      return (await client.getDeviceTelemetry({ params: { name: device }, query: { since }, signal })).samples;
    },
    refetchInterval: 60_000,
  });
}
