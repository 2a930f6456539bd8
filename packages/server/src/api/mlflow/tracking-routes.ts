import { AppError, issuesOf } from '@selvedge/contract';
import type { FastifyInstance } from 'fastify';
import type * as z from 'zod';
import type { MlflowArtifacts } from '../../services/mlflow-artifacts.ts';
import { artifactUri, type MlflowService } from '../../services/mlflow-service.ts';
import { runIdOf } from './errors.ts';
import { experimentMessage, LIFECYCLES, messages, metricMessage, runInfoMessage, runMessage } from './messages.ts';

/** MLflow's client sends batches of up to 1 MB. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** Adds one endpoint; GET has its message in the query, everything else as JSON. */
type Add = <S extends z.ZodType>(
  method: 'GET' | 'POST',
  path: string,
  schema: S,
  handle: (message: z.output<S>) => Promise<object>,
) => void;

function adder(app: FastifyInstance): Add {
  return (method, path, schema, handle) => {
    app.route({
      method,
      url: `/api/2.0/mlflow/${path}`,
      config: { scope: 'user' },
      bodyLimit: MAX_BODY_BYTES,
      handler: async (request, reply) => {
        const parsed = schema.safeParse((method === 'GET' ? request.query : request.body) ?? {});
        if (!parsed.success) {
          const faults = issuesOf(parsed.error).map((issue) => `'${issue.path}' ${issue.message}`);
          throw new AppError('INPUT_INVALID', { message: `Invalid value for parameter ${faults.slice(0, 5).join('; ')}` });
        }
        return reply.type('application/json').send(JSON.stringify(await handle(parsed.data)));
      },
    });
  };
}

/** The part of the tracking API that logs and looks up experiments and runs. */
export function addTrackingRoutes(app: FastifyInstance, service: MlflowService, artifacts: MlflowArtifacts): void {
  const add = adder(app);
  addExperimentRoutes(add, service);
  addRunRoutes(add, service);
  addLogRoutes(add, service);
  add('GET', 'artifacts/list', messages.listArtifacts, async ({ path, ...message }) => {
    const run = await service.run(runIdOf(message));
    const folder = path.replace(/\/$/, '');
    const files = (await artifacts.list(run.id, folder)).map((entry) => ({
      path: folder === '' ? entry.path : `${folder}/${entry.path}`,
      is_dir: entry.isFolder,
      ...(entry.isFolder ? {} : { file_size: entry.sizeBytes }),
    }));
    return { root_uri: artifactUri(run), files };
  });
}

function addExperimentRoutes(add: Add, service: MlflowService): void {
  add('POST', 'experiments/create', messages.createExperiment, async ({ name, tags, artifact_location }) => {
    if (artifact_location !== undefined && artifact_location !== '') {
      throw new AppError('INPUT_INVALID', {
        message: "Invalid value for parameter 'artifact_location': artifacts are kept by this server.",
      });
    }
    return { experiment_id: String((await service.createExperiment(name, tags)).id) };
  });
  add('GET', 'experiments/get', messages.experiment, async ({ experiment_id }) => ({
    experiment: experimentMessage(await service.experiment(experiment_id)),
  }));
  add('GET', 'experiments/get-by-name', messages.experimentByName, async ({ experiment_name }) => ({
    experiment: experimentMessage(await service.experimentByName(experiment_name)),
  }));
  for (const method of ['GET', 'POST'] as const) {
    add(method, 'experiments/search', messages.searchExperiments, async ({ view_type, filter, max_results, page_token }) => {
      if (filter !== '')
        throw new AppError('INPUT_INVALID', { message: "Invalid value for parameter 'filter': experiments are not filtered here." });
      const { items, next } = await service.listExperiments(LIFECYCLES[view_type], { limit: max_results, token: page_token });
      return { experiments: items.map(experimentMessage), ...(next === undefined ? {} : { next_page_token: next }) };
    });
  }
  add('POST', 'experiments/update', messages.updateExperiment, async ({ experiment_id, new_name }) => {
    await service.updateExperiment(experiment_id, { name: new_name });
    return {};
  });
  add('POST', 'experiments/delete', messages.experiment, async ({ experiment_id }) => {
    await service.updateExperiment(experiment_id, { lifecycle: 'deleted' });
    return {};
  });
  add('POST', 'experiments/restore', messages.experiment, async ({ experiment_id }) => {
    await service.updateExperiment(experiment_id, { lifecycle: 'active' });
    return {};
  });
  add('POST', 'experiments/set-experiment-tag', messages.experimentTag, async ({ experiment_id, key, value }) => {
    await service.updateExperiment(experiment_id, { tag: { key, value } });
    return {};
  });
}

function addRunRoutes(add: Add, service: MlflowService): void {
  add('POST', 'runs/create', messages.createRun, async ({ experiment_id, user_id, run_name, start_time, tags }) => {
    const run = await service.createRun({ experiment: experiment_id, user: user_id, name: run_name, startMs: start_time, tags });
    return { run: runMessage(run) };
  });
  add('GET', 'runs/get', messages.run, async (message) => ({ run: runMessage(await service.run(runIdOf(message))) }));
  add('POST', 'runs/update', messages.updateRun, async ({ status, end_time, run_name, ...message }) => {
    const run = await service.updateRun(runIdOf(message), {
      ...(status === undefined ? {} : { status }),
      ...(end_time === undefined ? {} : { endMs: end_time }),
      ...(run_name === undefined || run_name === '' ? {} : { name: run_name }),
    });
    return { run_info: runInfoMessage(run) };
  });
  add('POST', 'runs/delete', messages.run, async (message) => {
    await service.setLifecycle(runIdOf(message), 'deleted');
    return {};
  });
  add('POST', 'runs/restore', messages.run, async (message) => {
    await service.setLifecycle(runIdOf(message), 'active');
    return {};
  });
  add('POST', 'runs/search', messages.searchRuns, async ({ experiment_ids, filter, run_view_type, order_by, max_results, page_token }) => {
    const request = { experiments: experiment_ids, filter, orderBy: order_by, lifecycles: LIFECYCLES[run_view_type] };
    const { items, next } = await service.searchRuns(request, { limit: max_results, token: page_token });
    return { runs: items.map(runMessage), ...(next === undefined ? {} : { next_page_token: next }) };
  });
}

function addLogRoutes(add: Add, service: MlflowService): void {
  const nothing = { metrics: [], params: [], tags: [] };
  const metricOf = ({ key, value, timestamp, step }: MetricMessage) => ({ key, value, atMs: timestamp, step });
  add('POST', 'runs/log-metric', messages.logMetric, async (message) => {
    await service.log(runIdOf(message), { ...nothing, metrics: [metricOf(message)] });
    return {};
  });
  add('POST', 'runs/log-parameter', messages.logParam, async ({ key, value, ...message }) => {
    await service.log(runIdOf(message), { ...nothing, params: [{ key, value }] });
    return {};
  });
  add('POST', 'runs/set-tag', messages.setTag, async ({ key, value, ...message }) => {
    await service.log(runIdOf(message), { ...nothing, tags: [{ key, value }] });
    return {};
  });
  add('POST', 'runs/delete-tag', messages.deleteTag, async ({ key, ...message }) => {
    await service.deleteTag(runIdOf(message), key);
    return {};
  });
  add('POST', 'runs/log-batch', messages.logBatch, async ({ metrics, params, tags, ...message }) => {
    await service.log(runIdOf(message), { metrics: metrics.map(metricOf), params, tags });
    return {};
  });
  add('GET', 'metrics/get-history', messages.metricHistory, async ({ metric_key, max_results, page_token, ...message }) => {
    const { items, next } = await service.metricHistory(runIdOf(message), metric_key, { limit: max_results, token: page_token });
    return { metrics: items.map(metricMessage), ...(next === undefined ? {} : { next_page_token: next }) };
  });
}

interface MetricMessage {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}
