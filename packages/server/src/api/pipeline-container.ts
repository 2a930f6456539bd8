import { Readable } from 'node:stream';
import {
  AppError,
  type ArtifactStatus,
  type ArtifactSummary,
  artifactStatusSchema,
  artifactSummarySchema,
  listSchema,
  nameSchema,
  pipelineSpecSchema,
  type Route,
  type Run,
  startRunRequestSchema,
} from '@selvedge/contract';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { type Handler, implementRoute } from './implement.ts';
import { causeOf } from './routes/run-routes.ts';
import type { ApiServices } from './services.ts';

const pipeline = z.strictObject({ name: nameSchema });
const runOfPipeline = z.strictObject({ name: nameSchema, run: nameSchema });
const containerSchema = z.object({ name: z.string(), class: z.enum(['data', 'models']).nullable(), state: z.string(), url: z.string() });

const route = <const R extends Omit<Route, 'tag' | 'scope'>>(value: R) => ({ tag: 'pipelines', scope: 'user' as const, ...value });

/**
 * A pipeline as a container of the uniform artifact API, whose artifacts are its runs, and the list of all pipelines.
 * The same resources as below /api/v1 in the form that clients of that API know.
 */
export const PIPELINE_ROUTES = {
  listPipelines: route({
    method: 'GET',
    path: '/pipelines/',
    summary: 'Pipelines of the project',
    response: listSchema(z.object({ name: z.string(), url: z.string(), task: z.string().nullable() })),
  }),
  describePipeline: route({
    method: 'GET',
    path: '/pipelines/{name}/',
    summary: 'What a pipeline makes and from what',
    params: pipeline,
    response: z.object({ name: z.string(), makes: z.literal('run'), task: z.string().nullable(), spec: pipelineSpecSchema }),
  }),
  listPipelineRuns: route({
    method: 'GET',
    path: '/pipelines/{name}/runs',
    summary: 'Runs of a pipeline as artifacts',
    params: pipeline,
    response: listSchema(artifactSummarySchema),
  }),
  createPipelineRun: route({
    method: 'POST',
    path: '/pipelines/{name}/runs',
    summary: 'Start a run of a pipeline',
    params: pipeline,
    body: startRunRequestSchema,
    response: artifactSummarySchema,
    status: 202,
  }),
  getPipelineRun: route({
    method: 'GET',
    path: '/pipelines/{name}/runs/{run}/',
    summary: 'One run as an artifact',
    params: runOfPipeline,
    response: artifactSummarySchema,
  }),
  deletePipelineRun: route({
    method: 'DELETE',
    path: '/pipelines/{name}/runs/{run}/',
    summary: 'Remove a finished run with its artifacts',
    params: runOfPipeline,
    status: 204,
  }),
  cancelPipelineRun: route({
    method: 'POST',
    path: '/pipelines/{name}/runs/{run}/cancel',
    summary: 'Cancel a run',
    params: runOfPipeline,
    response: artifactSummarySchema,
    status: 202,
  }),
  getPipelineRunStatus: route({
    method: 'GET',
    path: '/pipelines/{name}/runs/{run}/status',
    summary: 'How a run stands',
    params: runOfPipeline,
    response: artifactStatusSchema,
  }),
  getPipelineRunParameters: route({
    method: 'GET',
    path: '/pipelines/{name}/runs/{run}/input-parameters',
    summary: 'The pipeline as it was when the run began',
    params: runOfPipeline,
    response: pipelineSpecSchema,
  }),
  getPipelineRunLog: route({
    method: 'GET',
    path: '/pipelines/{name}/runs/{run}/log',
    summary: 'Log of a run; with follow=1 until it is finished',
    params: runOfPipeline,
    query: z.strictObject({ follow: z.enum(['0', '1']).optional() }),
    download: 'text/plain',
  }),
  listPipelineContainers: route({
    method: 'GET',
    path: '/pipelines/{name}/containers',
    summary: 'Tools of a pipeline by class',
    params: pipeline,
    response: z.object({ data: z.array(containerSchema), models: z.array(containerSchema) }),
  }),
  listPipelineArtifacts: route({
    method: 'GET',
    path: '/pipelines/{name}/artifacts',
    summary: 'Artifacts of all tools that the runs of a pipeline have made or read',
    params: pipeline,
    response: listSchema(artifactSummarySchema),
  }),
} as const;

type PipelineHandlers = { [K in keyof typeof PIPELINE_ROUTES]: Handler<(typeof PIPELINE_ROUTES)[K]> };

const STATES: Record<Run['status']['phase'], ArtifactStatus['status']> = {
  Pending: 'queued',
  Running: 'in-progress',
  Succeeded: 'completed',
  Failed: 'failed',
  Cancelled: 'cancelled',
};

function artifactStatusOf({ metadata, status }: Run): ArtifactStatus {
  const { phase, message, steps, startedAt, finishedAt, error } = status;
  return {
    status: STATES[phase],
    progress: steps.reduce((sum, step) => sum + step.progress, 0) / Math.max(1, steps.length),
    message,
    attempt: startedAt === null ? 0 : 1,
    createdAt: metadata.createdAt,
    startedAt,
    finishedAt,
    error: phase === 'Failed' ? (error ?? { code: 'RUN_FAILED', message }) : null,
  };
}

const summaryOf = (run: Run): ArtifactSummary => ({
  name: run.metadata.name,
  type: 'run',
  tool: run.spec.pipeline,
  url: `/pipelines/${run.spec.pipeline}/runs/${run.metadata.name}/`,
  state: artifactStatusOf(run),
});

/** Lookups that the handlers share. */
function pipelineLookups(store: ApiServices['store']) {
  const getPipeline = async (name: string) => {
    const found = await store.get('Pipeline', name);
    if (found === undefined) {
      throw new AppError('NOT_FOUND', { message: `There is no pipeline "${name}".`, hint: 'GET /pipelines/ lists them.' });
    }
    return found;
  };
  const runsOf = async (name: string): Promise<Run[]> => {
    await getPipeline(name);
    const found: Run[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const page = await store.list('Run', after === undefined ? {} : { after });
      found.push(...page.items.filter((run) => run.spec.pipeline === name));
      after = page.next;
    }
    return found.sort((a, b) => (a.metadata.createdAt < b.metadata.createdAt ? -1 : 1));
  };
  const getRun = async ({ name, run }: { name: string; run: string }): Promise<Run> => {
    const found = await store.get('Run', run);
    if (found?.spec.pipeline === name) return found;
    throw new AppError('NOT_FOUND', { message: `Pipeline "${name}" has no run "${run}".` });
  };
  return { getPipeline, runsOf, getRun };
}

export function pipelineHandlers(services: ApiServices): PipelineHandlers {
  const { store, runs, runLog, modules, tools, resources } = services;
  const { getPipeline, runsOf, getRun } = pipelineLookups(store);
  return {
    listPipelines: async () => {
      const { items } = await store.list('Pipeline');
      return {
        items: items.map(({ metadata, spec }) => ({ name: metadata.name, url: `/pipelines/${metadata.name}/`, task: spec.task ?? null })),
      };
    },
    describePipeline: async ({ params }) => {
      const { metadata, spec } = await getPipeline(params.name);
      return { name: metadata.name, makes: 'run', task: spec.task ?? null, spec };
    },
    listPipelineRuns: async ({ params }) => ({ items: (await runsOf(params.name)).map(summaryOf) }),
    createPipelineRun: async ({ params, body, principal, reply }) => {
      const summary = summaryOf(await runs.start(params.name, body, causeOf(principal)));
      reply.header('location', summary.url);
      return summary;
    },
    getPipelineRun: async ({ params }) => summaryOf(await getRun(params)),
    deletePipelineRun: async ({ params }) => {
      await resources.remove('runs', (await getRun(params)).metadata.name);
      return undefined;
    },
    cancelPipelineRun: async ({ params }) => summaryOf(await runs.cancel((await getRun(params)).metadata.name)),
    getPipelineRunStatus: async ({ params }) => artifactStatusOf(await getRun(params)),
    getPipelineRunParameters: async ({ params }) => (await getRun(params)).spec.pipelineSpec,
    getPipelineRunLog: async ({ params, query, reply, signal }) => {
      const run = await getRun(params);
      const lines = await runLog.open(run.metadata.name, { follow: query.follow === '1', signal });
      return reply.type('text/plain; charset=utf-8').send(Readable.from(lines));
    },
    listPipelineContainers: async ({ params }) => {
      await getPipeline(params.name);
      const all = modules
        .list()
        .map(({ name, state }) => ({ name, state, url: `/containers/${name}/`, class: modules.classOf(name) ?? null }));
      return { data: all.filter((tool) => tool.class !== 'models'), models: all.filter((tool) => tool.class === 'models') };
    },
    listPipelineArtifacts: async ({ params }) => {
      const all = await runsOf(params.name);
      const wanted = new Map<string, Set<string>>();
      for (const { name, tool = name, artifact } of all.flatMap((run) => run.status.steps))
        if (artifact !== null) wanted.set(tool, (wanted.get(tool) ?? new Set()).add(artifact));
      const listed = async (tool: string, names: ReadonlySet<string>) =>
        modules.whyDown(tool) === undefined ? (await tools.listArtifacts(tool)).filter((artifact) => names.has(artifact.name)) : [];
      const items = (await Promise.all([...wanted].map(([tool, names]) => listed(tool, names)))).flat();
      return { items: items.map((artifact) => ({ ...artifact, url: `/containers/${artifact.tool}${artifact.url}` })) };
    },
  };
}

export function addPipelineContainer(app: FastifyInstance, handlers: PipelineHandlers): void {
  const names = Object.keys(PIPELINE_ROUTES).filter((key): key is keyof PipelineHandlers => Object.hasOwn(PIPELINE_ROUTES, key));
  const add = <K extends keyof PipelineHandlers>(key: K) => implementRoute(app, key, PIPELINE_ROUTES[key], handlers[key]);
  for (const key of names) add(key);
}
