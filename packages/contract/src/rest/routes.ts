import * as z from 'zod';
import { nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { anyResourceSchema, runSchema, taskSchema } from '../resources/index.ts';
import { BUNDLE_ROUTES } from './bundle-routes.ts';
import { DATASET_ROUTES } from './dataset-routes.ts';
import { JOINING_ROUTES } from './joining-routes.ts';
import { mlflowExperimentsRoute, mlflowRunsRoute } from './mlflow-routes.ts';
import { OPERATION_ROUTES } from './operation-routes.ts';
import { REGISTRY_ROUTES } from './registry-routes.ts';
import { REMOTE_ROUTES } from './remote-routes.ts';
import { ROLLOUT_ROUTES } from './rollout-routes.ts';
import { type Route, route } from './route.ts';
import { RUN_ENGINE_ROUTES } from './run-engine-routes.ts';
import * as s from './schemas.ts';

export type { Route, Scope } from './route.ts';

const name = z.strictObject({ name: nameSchema });

export const ROUTES = {
  getHealth: route({
    method: 'GET',
    path: '/health',
    summary: 'Health of the server and of every module',
    tag: 'server',
    scope: 'public',
    response: s.healthSchema,
  }),
  getServerMetrics: route({
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics of the server in OpenMetrics text',
    tag: 'server',
    scope: 'public',
    download: 'text/plain',
  }),
  getWhoami: route({
    method: 'GET',
    path: '/api/v1/whoami',
    summary: 'Who the credential belongs to',
    tag: 'server',
    scope: 'user',
    response: z.object({ name: z.string(), via: z.enum(['token', 'session']), version: z.string(), devicePort: z.int() }),
  }),
  createLoginCode: route({
    method: 'POST',
    path: '/api/v1/login-codes',
    summary: 'Make a code that signs one browser in once',
    tag: 'server',
    scope: 'user',
    response: z.object({ code: z.string(), path: z.string(), expiresAt: timestampSchema }),
    status: 201,
  }),
  createSession: route({
    method: 'POST',
    path: '/api/v1/session',
    summary: 'Sign in with a login code or an API token; sets the session cookie',
    tag: 'server',
    scope: 'public',
    body: z.union([z.strictObject({ code: z.string().max(256) }), z.strictObject({ token: z.string().max(256) })]),
    status: 204,
  }),
  deleteSession: route({ method: 'DELETE', path: '/api/v1/session', summary: 'Sign out', tag: 'server', scope: 'user', status: 204 }),
  streamEvents: route({
    method: 'GET',
    path: '/api/v1/events',
    summary: 'Every change as it happens (server-sent events)',
    tag: 'server',
    scope: 'user',
    query: z.strictObject({ kinds: z.string().max(512).optional() }),
    download: 'text/event-stream',
  }),
  listModules: route({
    method: 'GET',
    path: '/api/v1/modules',
    summary: 'Tools and how they are',
    tag: 'modules',
    scope: 'user',
    response: s.listSchema(s.moduleSchema),
  }),

  apply: route({
    method: 'POST',
    path: '/api/v1/apply',
    summary: 'Create or change resources',
    tag: 'resources',
    scope: 'user',
    body: s.applyRequestSchema,
    response: s.applyResultSchema,
  }),
  listResources: route({
    method: 'GET',
    path: '/api/v1/resources/{plural}',
    summary: 'Resources of a kind, oldest first',
    tag: 'resources',
    scope: 'user',
    params: z.strictObject({ plural: z.string().max(64) }),
    query: z.strictObject({
      selector: z.string().max(2048).optional(),
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      after: z.string().max(253).optional(),
    }),
    response: z.object({ items: z.array(anyResourceSchema), next: z.string().nullable() }),
  }),
  getResource: route({
    method: 'GET',
    path: '/api/v1/resources/{plural}/{name}',
    summary: 'One resource',
    tag: 'resources',
    scope: 'user',
    params: z.strictObject({ plural: z.string().max(64), name: nameSchema }),
    response: anyResourceSchema,
  }),
  deleteResource: route({
    method: 'DELETE',
    path: '/api/v1/resources/{plural}/{name}',
    summary: 'Delete a resource; a Device is revoked with it',
    tag: 'resources',
    scope: 'user',
    params: z.strictObject({ plural: z.string().max(64), name: nameSchema }),
    status: 204,
  }),

  ...JOINING_ROUTES,
  getDeviceTelemetry: route({
    method: 'GET',
    path: '/api/v1/devices/{name}/telemetry',
    summary: 'Samples of a device, oldest first',
    tag: 'devices',
    scope: 'user',
    params: name,
    query: z.strictObject({ since: timestampSchema.optional() }),
    response: s.telemetrySchema,
  }),
  getDeviceResults: route({
    method: 'GET',
    path: '/api/v1/devices/{name}/results',
    summary: 'What the models on a device answered, summed up by time, oldest first',
    tag: 'devices',
    scope: 'user',
    params: name,
    query: z.strictObject({ since: timestampSchema.optional(), workload: nameSchema.optional() }),
    response: s.deviceResultsSchema,
  }),

  ...DATASET_ROUTES,

  startRun: route({
    method: 'POST',
    path: '/api/v1/pipelines/{name}/runs',
    summary: 'Start a run of a pipeline',
    tag: 'runs',
    scope: 'user',
    params: name,
    body: s.startRunRequestSchema,
    response: runSchema,
    status: 202,
  }),
  getPipelineTask: route({
    method: 'GET',
    path: '/pipelines/{name}/task',
    summary: 'The task that a pipeline is for',
    tag: 'runs',
    scope: 'user',
    params: name,
    response: taskSchema,
  }),
  cancelRun: route({
    method: 'POST',
    path: '/api/v1/runs/{name}/cancel',
    summary: 'Cancel a run',
    tag: 'runs',
    scope: 'user',
    params: name,
    response: runSchema,
    status: 202,
  }),
  getRunMetrics: route({
    method: 'GET',
    path: '/api/v1/runs/{name}/metrics',
    summary: 'Every point of every metric of a run; with "max", at most so many of each, chosen so that its curve looks the same',
    tag: 'runs',
    scope: 'user',
    params: name,
    query: z.strictObject({ max: z.coerce.number().int().min(3).max(10_000).optional() }),
    response: s.metricsSchema,
  }),
  getRunLog: route({
    method: 'GET',
    path: '/api/v1/runs/{name}/log',
    summary: 'Log of a run or of one step of it',
    tag: 'runs',
    scope: 'user',
    params: name,
    query: z.strictObject({ step: z.string().max(63).optional(), follow: z.enum(['0', '1']).optional() }),
    download: 'text/plain',
  }),

  getModel: route({
    method: 'GET',
    path: '/api/v1/models/{name}',
    summary: 'A model with its versions, newest first',
    tag: 'models',
    scope: 'user',
    params: name,
    response: s.modelDetailSchema,
  }),
  downloadModel: route({
    method: 'GET',
    path: '/api/v1/models/{name}/versions/{version}/file',
    summary: 'The ONNX file of a version',
    tag: 'models',
    scope: 'user',
    params: z.strictObject({ name: nameSchema, version: z.string().max(63) }),
    download: 'application/octet-stream',
  }),
  infer: route({
    method: 'POST',
    path: '/api/v1/inferencemodels/{name}/infer',
    summary: 'Send one picture to a device that serves the model',
    tag: 'models',
    scope: 'user',
    params: name,
    query: z.strictObject({ device: nameSchema.optional() }),
    upload: 'image/*',
    response: s.inferResponseSchema,
  }),
  listTargets: route({
    method: 'GET',
    path: '/api/v1/targets',
    summary: 'Platforms that packages can be built for',
    tag: 'packages',
    scope: 'user',
    response: s.listSchema(s.targetSchema),
  }),
  downloadPackage: route({
    method: 'GET',
    path: '/api/v1/packages/{name}/archive',
    summary: 'The signed archive (tar.zst) of a package',
    tag: 'packages',
    scope: 'user',
    params: name,
    download: 'application/zstd',
  }),
  getPackageLog: route({
    method: 'GET',
    path: '/api/v1/packages/{name}/log',
    summary: 'Log of the build of a package',
    tag: 'packages',
    scope: 'user',
    params: name,
    query: z.strictObject({ follow: z.enum(['0', '1']).optional() }),
    download: 'text/plain',
  }),
  benchPackage: route({
    method: 'POST',
    path: '/api/v1/packages/{name}/bench',
    summary: 'Measure a package on devices',
    tag: 'packages',
    scope: 'user',
    params: name,
    body: s.benchRequestSchema,
    response: s.benchResponseSchema,
  }),
  getSigningCa: route({
    method: 'GET',
    path: '/api/v1/ca',
    summary: 'Certificate (PEM) of the authority that issues the certificates of devices and of the package signer',
    tag: 'packages',
    scope: 'user',
    download: 'application/x-pem-file',
  }),
  getBlob: route({
    method: 'GET',
    path: '/api/v1/blobs/{sha256}',
    summary: 'Content by its digest (range requests)',
    tag: 'blobs',
    scope: 'tool',
    params: z.strictObject({ sha256: sha256Schema }),
    /** File name that the answer carries; for those that go by it. */
    query: z.strictObject({
      name: z
        .string()
        .max(128)
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
        .optional(),
    }),
    download: 'application/octet-stream',
  }),
  ...RUN_ENGINE_ROUTES,
  ...REGISTRY_ROUTES,
  ...OPERATION_ROUTES,
  ...BUNDLE_ROUTES,
  ...REMOTE_ROUTES,
  ...ROLLOUT_ROUTES,
  listMlflowExperiments: mlflowExperimentsRoute,
  listMlflowRuns: mlflowRunsRoute,
} as const satisfies Record<string, Route>;
export type RouteName = keyof typeof ROUTES;
