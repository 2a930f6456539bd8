import * as z from 'zod';
import { metricValuesSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { datasetReferenceSchema, gateResultSchema } from '../gates.ts';
import { modelSchema, modelVersionSchema, workloadStateSchema } from '../resources/index.ts';
import { route } from './route.ts';

const name = z.strictObject({ name: nameSchema });
const modelVersion = z.strictObject({ name: nameSchema, version: z.string().max(63) });

/** Forms of a benchmark's report: a page, the whole as JSON, a row per class, a row per metric. */
export const REPORT_FORMATS = ['html', 'json', 'csv', 'metrics-csv'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** Annotation of a ModelVersion: what somebody wrote about it. */
export const NOTE_ANNOTATION = 'selvedge.dev/note';

/** Not a number, which would be a version. `latest` is kept by the registry. */
export const aliasSchema = z
  .string()
  .max(63)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'must be lower-case letters, digits and "-", and begin with a letter')
  .refine((alias) => alias !== 'latest', '"latest" always is the newest version');

const servingSchema = z.object({
  deployment: nameSchema,
  device: nameSchema,
  state: workloadStateSchema,
  /** `model-server`, or the name of a native package; null where the agent does not say. */
  runtime: z.string().nullable(),
});

export const modelLineageSchema = z.object({
  model: nameSchema,
  version: z.string(),
  file: z.object({ sha256: sha256Schema, sizeBytes: z.int() }),
  createdAt: timestampSchema,
  aliases: z.array(z.string()),
  note: z.string().nullable(),
  metrics: metricValuesSchema,
  /** Null for a version that no run made. */
  origin: z
    .object({
      run: z.string(),
      /** Null when the run was removed. */
      startedAt: timestampSchema.nullable(),
      cause: z.string().nullable(),
      pipeline: nameSchema,
      pipelineGeneration: z.int(),
      task: z.string().nullable(),
      /** `removed`: the registry knows what it was, and its content is gone. */
      dataset: z.object({ name: z.string(), version: z.int(), digest: sha256Schema, removed: z.boolean() }),
      /** Further datasets that it was measured on. */
      evaluations: z.array(
        z.object({ name: z.string(), version: z.int(), digest: sha256Schema, samples: z.int(), metrics: metricValuesSchema }),
      ),
      parameters: z.record(z.string(), z.unknown()),
      /** Tool to the digest of the code that ran. */
      tools: z.record(z.string(), z.string()),
      /** Versions that it was made from, `NAME:V`, to the sha256 of their ONNX files. */
      models: z.record(z.string(), sha256Schema).optional(),
    })
    .nullable(),
  packages: z.array(z.object({ name: nameSchema, target: z.string(), phase: z.string(), archiveSha256: sha256Schema.nullable() })),
  /** InferenceModels that want this version now. */
  deployments: z.array(nameSchema),
  /** Devices that have reported that they serve it. */
  devices: z.array(servingSchema),
});
export type ModelLineage = z.infer<typeof modelLineageSchema>;

export const datasetImpactSchema = z.object({
  dataset: nameSchema,
  /** Null: all versions of it. */
  version: z.int().nullable(),
  /** Runs that learn from it or measure on it. */
  runs: z.array(z.string()),
  /** Versions that were measured on it, and not made of it. */
  evaluated: z.array(z.object({ model: nameSchema, version: z.string(), datasetVersion: z.int(), run: z.string() })),
  models: z.array(z.object({ model: nameSchema, version: z.string(), datasetVersion: z.int(), run: z.string() })),
  devices: z.array(servingSchema.extend({ model: nameSchema, version: z.string(), datasetVersion: z.int() })),
});
export type DatasetImpact = z.infer<typeof datasetImpactSchema>;

const comparedPipelineSchema = z.object({
  pipeline: nameSchema,
  runs: z.int(),
  /** Of the runs that registered a version: the one that does best by the criteria; null when there is none. */
  best: z
    .object({
      run: z.string(),
      modelVersion: z.string(),
      criteria: z.array(gateResultSchema),
      /** Null without any criterion that has a bound. */
      passed: z.boolean().nullable(),
      metrics: metricValuesSchema,
      cost: z.object({
        /** From its start to its end; null when the run was removed. */
        runSeconds: z.number().nullable(),
        trainSeconds: z.number().nullable(),
        modelBytes: z.int(),
      }),
    })
    .nullable(),
});
export type ComparedPipeline = z.infer<typeof comparedPipelineSchema>;

export const taskComparisonSchema = z.object({
  task: nameSchema,
  /** The criteria as they are read; text that is none is left out. */
  criteria: z.array(z.string()),
  /** Lines that look like a criterion and cannot be one. */
  issues: z.array(z.string()),
  /** What the task says about cost. */
  costFunction: z.string(),
  /** The best first. */
  pipelines: z.array(comparedPipelineSchema),
});
export type TaskComparison = z.infer<typeof taskComparisonSchema>;

/** Reports of runs, tasks with their pipelines side by side, and what the registry knows of versions. */
export const REGISTRY_ROUTES = {
  getRunReport: route({
    method: 'GET',
    path: '/api/v1/runs/{name}/report',
    summary: "Report of a run's benchmark, as a page or as data",
    tag: 'runs',
    scope: 'user',
    params: name,
    query: z.strictObject({
      format: z.enum(REPORT_FORMATS).optional(),
      /** One of the datasets that the task's criteria name; default: the test data of the run's own. */
      dataset: datasetReferenceSchema.optional(),
    }),
    download: 'text/html',
  }),
  compareTask: route({
    method: 'GET',
    path: '/api/v1/tasks/{name}/comparison',
    summary: 'The pipelines of a task side by side, by its criteria',
    tag: 'runs',
    scope: 'user',
    params: name,
    response: taskComparisonSchema,
  }),
  getModelLineage: route({
    method: 'GET',
    path: '/api/v1/models/{name}/versions/{version}/lineage',
    summary: 'What a version was made from, and where it serves',
    tag: 'models',
    scope: 'user',
    params: modelVersion,
    response: modelLineageSchema,
  }),
  getModelCard: route({
    method: 'GET',
    path: '/api/v1/models/{name}/versions/{version}/card',
    summary: 'Model card of a version, in Markdown',
    tag: 'models',
    scope: 'user',
    params: modelVersion,
    download: 'text/markdown',
  }),
  setModelAlias: route({
    method: 'PUT',
    path: '/api/v1/models/{name}/aliases/{alias}',
    summary: 'Let an alias name a version; what is deployed by the alias follows',
    tag: 'models',
    scope: 'user',
    params: z.strictObject({ name: nameSchema, alias: aliasSchema }),
    body: z.strictObject({ version: z.string().min(1).max(63) }),
    response: modelSchema,
  }),
  deleteModelAlias: route({
    method: 'DELETE',
    path: '/api/v1/models/{name}/aliases/{alias}',
    summary: 'Remove an alias',
    tag: 'models',
    scope: 'user',
    params: z.strictObject({ name: nameSchema, alias: aliasSchema }),
    response: modelSchema,
  }),
  setModelNote: route({
    method: 'PUT',
    path: '/api/v1/models/{name}/versions/{version}/note',
    summary: 'Write a note on a version; an empty one removes it',
    tag: 'models',
    scope: 'user',
    params: modelVersion,
    body: z.strictObject({ text: z.string().max(16_384) }),
    response: modelVersionSchema,
  }),
  getDatasetImpact: route({
    method: 'GET',
    path: '/api/v1/datasets/{name}/impact',
    summary: 'Runs, models and devices that depend on a dataset or one version of it',
    tag: 'datasets',
    scope: 'user',
    params: name,
    query: z.strictObject({ version: z.coerce.number().int().min(1).optional() }),
    response: datasetImpactSchema,
  }),
} as const;
