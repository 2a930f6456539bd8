import {
  AppError,
  type ArtifactSummary,
  artifactSummarySchema,
  fromProblem,
  type MetricSeries,
  metricSeriesSchema,
  problemSchema,
  type ToolDescription,
  toolDescriptionSchema,
  type WeightHistograms,
  weightHistogramsSchema,
} from '@selvedge/contract';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import * as z from 'zod';
import { useToolLog } from './log.ts';

/** Points of a curve that are fetched: more than the chart has pixels would not be seen. */
const MAX_POINTS = 1000;
const BUSY_MS = 1500;
const IDLE_MS = 10_000;

const artifactsSchema = z.object({ items: z.array(artifactSummarySchema) });
const namesSchema = z.object({ items: z.array(z.string()) });
const containerSchema = z.object({ name: z.string(), class: z.enum(['data', 'models']).nullable(), state: z.string(), url: z.string() });
const containersSchema = z.object({ data: z.array(containerSchema), models: z.array(containerSchema) });
export type Container = z.infer<typeof containerSchema>;

/** Address of a tool behind the server's gateway, or of something below it. */
function toolUrl(tool: string, ...path: readonly string[]): string {
  return `/containers/${[tool, ...path].map(encodeURIComponent).join('/')}`;
}

/** Address of a tool's artifact, or of something below it. */
export function artifactUrl(tool: string, artifact: string, ...path: readonly string[]): string {
  return `${toolUrl(tool, 'artifacts', artifact)}/${path.map(encodeURIComponent).join('/')}`;
}

/** Tools speak the artifact API and not the REST API: they are asked by address. @throws AppError with the code of the answer. */
async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { credentials: 'same-origin', ...init });
  if (response.ok) return response;
  const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
  if (problem.success) throw fromProblem(problem.data);
  throw new AppError('TOOL_UNAVAILABLE', { message: `The tool answered with HTTP ${response.status}.` });
}

async function readJson<S extends z.ZodType>(url: string, schema: S, signal: AbortSignal): Promise<z.output<S>> {
  return schema.parse(await (await ask(url, { signal })).json());
}

const isBusy = (artifacts: readonly ArtifactSummary[] | undefined) =>
  artifacts?.some(({ state }) => state.status === 'queued' || state.status === 'in-progress') === true;

/** What a tool says of itself. */
export function useToolDescription(tool: string) {
  return useQuery({
    queryKey: ['tool', tool],
    queryFn: ({ signal }): Promise<ToolDescription> => readJson(`${toolUrl(tool)}/`, toolDescriptionSchema, signal),
    retry: 1,
  });
}

/** The artifacts of a tool, looked at more often while one is being made. */
export function useArtifacts(tool: string) {
  return useQuery({
    queryKey: ['artifacts', 'tool', tool],
    queryFn: async ({ signal }) => (await readJson(toolUrl(tool, 'artifacts'), artifactsSchema, signal)).items,
    refetchInterval: ({ state }) => (isBusy(state.data) ? BUSY_MS : IDLE_MS),
    retry: 1,
  });
}

/** What the runs of a pipeline have made in all tools. */
export function usePipelineArtifacts(pipeline: string) {
  return useQuery({
    queryKey: ['artifacts', 'pipeline', pipeline],
    queryFn: async ({ signal }) => (await readJson(`/pipelines/${encodeURIComponent(pipeline)}/artifacts`, artifactsSchema, signal)).items,
    refetchInterval: ({ state }) => (isBusy(state.data) ? BUSY_MS : IDLE_MS),
    retry: 1,
  });
}

/** The tools of a pipeline by what they make: data or models. */
export function usePipelineContainers(pipeline: string) {
  return useQuery({
    queryKey: ['containers', pipeline],
    queryFn: ({ signal }) => readJson(`/pipelines/${encodeURIComponent(pipeline)}/containers`, containersSchema, signal),
    refetchInterval: IDLE_MS,
    retry: 1,
  });
}

/** Every curve of an artifact; asked for again while the artifact is being made. */
export function useArtifactMetrics(tool: string, artifact: string, isMade: boolean) {
  return useQuery({
    queryKey: ['artifact-metrics', tool, artifact],
    queryFn: async ({ signal }): Promise<MetricSeries[]> => {
      const { items } = await readJson(artifactUrl(tool, artifact, 'metrics'), namesSchema, signal);
      const urls = items.map((metric) => artifactUrl(tool, artifact, 'metrics', metric.replaceAll('/', '.'), 'series'));
      return Promise.all(urls.map((url) => readJson(`${url}?max=${MAX_POINTS}`, metricSeriesSchema, signal)));
    },
    refetchInterval: isMade ? false : BUSY_MS,
    retry: 1,
  });
}

/** How the weights of a model are spread. */
export function useWeightHistograms(tool: string, artifact: string) {
  return useQuery({
    queryKey: ['artifact-weights', tool, artifact],
    queryFn: async ({ signal }): Promise<WeightHistograms['weights']> =>
      (await readJson(artifactUrl(tool, artifact, 'data', 'weights.json'), weightHistogramsSchema, signal)).weights,
    staleTime: Number.POSITIVE_INFINITY,
    retry: 1,
  });
}

/** Removing and cancelling artifacts; the lists are read again afterwards. */
export function useArtifactActions() {
  const queryClient = useQueryClient();
  const refresh = () => queryClient.invalidateQueries({ queryKey: ['artifacts'] });
  return {
    remove: async ({ tool, name }: ArtifactSummary) => {
      await ask(artifactUrl(tool, name), { method: 'DELETE' });
      await refresh();
    },
    cancel: async ({ tool, name }: ArtifactSummary) => {
      await ask(artifactUrl(tool, name, 'cancel'), { method: 'POST' });
      await refresh();
    },
  };
}

/** Follows the log of an artifact until it is finished. */
export function useArtifactLog(tool: string, artifact: string) {
  const url = artifactUrl(tool, artifact, 'log');
  return useToolLog(url, (signal) => ask(`${url}?follow=1`, { signal }));
}
