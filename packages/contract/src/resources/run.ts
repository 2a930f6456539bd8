import * as z from 'zod';
import { failureSchema, metricValuesSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { gateResultSchema, wantedMetricSchema } from '../gates.ts';
import { pipelineSpecSchema } from '../pipeline-spec.ts';
import { jobResourcesSchema } from '../train-resources.ts';
import { resourceOf } from './envelope.ts';

export const stepStateSchema = z.enum(['pending', 'running', 'completed', 'failed', 'cancelled', 'skipped']);
export const runPhaseSchema = z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled']);
export type RunPhase = z.infer<typeof runPhaseSchema>;

/** Who or what started a run. `trigger` names the pipeline's trigger, `detail` what it saw, `events` how many events became this run. */
export const runCauseSchema = z.strictObject({
  type: z.enum(['manual', 'api', 'trigger', 'sweep']),
  by: z.string(),
  trigger: z.string().optional(),
  detail: z.string().max(1024).optional(),
  events: z.int().min(1).optional(),
});
export type RunCause = z.infer<typeof runCauseSchema>;

const runDatasetSchema = z.strictObject({ name: z.string(), version: z.int().min(1), digest: sha256Schema, artifact: z.string() });
export type RunDataset = z.infer<typeof runDatasetSchema>;

/** A dataset that criteria of the pipeline's task name: the run measures its model on it too. */
const runEvaluationSchema = z.strictObject({
  dataset: runDatasetSchema,
  /** What of it: a split's name, or "." for all. */
  path: z.string(),
  /** The classes of the model in their order, by which those of the dataset are counted; absent for embeddings. */
  labels: z.array(z.string()).optional(),
  wanted: z.array(wantedMetricSchema),
});
export type RunEvaluation = z.infer<typeof runEvaluationSchema>;

export const runSpecSchema = z.strictObject({
  pipeline: nameSchema,
  /** The pipeline as it was when the run began; a later edit does not touch the run. */
  pipelineGeneration: z.int().min(1),
  pipelineSpec: pipelineSpecSchema,
  dataset: runDatasetSchema,
  cause: runCauseSchema,
  /** sha256 of the ONNX file of each version that the run reads, by `NAME:V`. */
  models: z.record(z.string(), sha256Schema).optional(),
  /** Criteria of the task as it was: what its benchmark is to come to, and the further datasets. Absent without any. */
  wanted: z.array(wantedMetricSchema).optional(),
  evaluations: z.array(runEvaluationSchema).optional(),
  /** Steps that are done anew even when an earlier run has done the same; absent: none. */
  fresh: z.array(z.string()).optional(),
  /** The run that this one repeats, and the step that it begins with (null: the first). */
  rerunOf: z.strictObject({ run: nameSchema, from: z.string().nullable() }).optional(),
  /** The sweep that this run is a part of. Its hyperparameters are in `pipelineSpec`. */
  sweepOf: z.strictObject({ run: nameSchema, index: z.int().min(1) }).optional(),
});
export type RunSpec = z.infer<typeof runSpecSchema>;

export const runStepSchema = z.object({
  /** The step's id in the pipeline. */
  name: z.string(),
  /** The tool that does it; absent for what the server does, and in runs of before tools could be chosen. */
  tool: z.string().optional(),
  state: stepStateSchema,
  /** Starts at 1 with the first try; grows when the tool died and the step was taken up again. */
  attempt: z.int().min(0),
  /** The tool's artifact, once asked for. */
  artifact: z.string().nullable(),
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  /** 0..1 as far as the tool tells. */
  progress: z.number().min(0).max(1),
  message: z.string(),
  /** The address of the server that is inside the request made to the tool; absent in runs of before it was kept per step. */
  origin: z.string().optional(),
  /** Which try this is, from 1; absent while the first has not failed. */
  try: z.int().min(1).optional(),
  /** The next try begins then. */
  retryAt: timestampSchema.nullable().optional(),
  /** When the work was first asked to end. */
  endingSince: timestampSchema.nullable().optional(),
  timedOut: z.boolean().optional(),
  error: failureSchema.nullable().optional(),
  /** `RUN.STEP` that the artifact was taken from instead of being made. */
  cachedFrom: z.string().nullable().optional(),
  /** What was asked of the tool: parameters after substitution, and the tool's version and digest of its code. */
  parameters: z.record(z.string(), z.unknown()).optional(),
  toolVersion: z.string().optional(),
  codeDigest: z.string().optional(),
  /** sha256 over tool, version, code, parameters and inputs: steps with the same key make the same. */
  key: sha256Schema.optional(),
  /** Contents of the artifact's outputs.json, and last value of each of its metrics. */
  outputs: z.record(z.string(), z.unknown()).optional(),
  metrics: metricValuesSchema.optional(),
  /** Of a step that its tool does in a process of its own, once it has ended; of the attempt that ended it. */
  resources: jobResourcesSchema.optional(),
});
export type RunStep = z.infer<typeof runStepSchema>;

/** The machine and programs of the server when the run began. */
const runEnvironmentSchema = z.object({
  server: z.string(),
  node: z.string(),
  platform: z.string(),
  cpu: z.string(),
  threads: z.int().min(1),
  memoryMiB: z.int().min(1),
});
export type RunEnvironment = z.infer<typeof runEnvironmentSchema>;

const sweepChildSchema = z.object({
  run: nameSchema,
  /** The hyperparameters that the sweep chose. */
  parameters: z.record(z.string(), z.union([z.number(), z.string()])),
  phase: runPhaseSchema,
  /** The sweep's metric, once the run has succeeded with it. */
  value: z.number().nullable(),
});
export type SweepChild = z.infer<typeof sweepChildSchema>;

export const runStatusSchema = z.object({
  phase: runPhaseSchema,
  message: z.string(),
  steps: z.array(runStepSchema),
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  /** Last value of each metric: train/loss, validation/accuracy, test/accuracy, test/f1, ... */
  metrics: metricValuesSchema,
  /** What the run failed of; null while it has not, absent in runs of before this was kept. */
  error: failureSchema.nullable().optional(),
  /** `model/version`, once registered. */
  modelVersion: z.string().nullable(),
  /** How the version does by the evaluation criteria of the pipeline's task; absent while not registered, or without a task. */
  criteria: z.array(gateResultSchema).optional(),
  environment: runEnvironmentSchema.optional(),
  /** Of a sweep: its runs in the order of their beginning, and the best so far. */
  sweep: z.object({ children: z.array(sweepChildSchema), best: z.object({ run: nameSchema, value: z.number() }).nullable() }).optional(),
});
export type RunStatus = z.infer<typeof runStatusSchema>;

export const runSchema = resourceOf('Run', runSpecSchema, runStatusSchema);
export type Run = z.infer<typeof runSchema>;

/** One point of a metric's curve. `step` is the epoch or the optimiser step, as the metric's name says. */
export const metricPointSchema = z.object({ metric: z.string(), step: z.number(), value: z.number(), at: timestampSchema });
export type MetricPoint = z.infer<typeof metricPointSchema>;
