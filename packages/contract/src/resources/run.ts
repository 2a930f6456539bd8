import * as z from 'zod';
import { failureSchema, metricValuesSchema, nameSchema, sha256Schema, timestampSchema } from '../common.ts';
import { gateResultSchema } from '../gates.ts';
import { type PipelineSpec, pipelineSpecSchema } from '../pipeline-spec.ts';
import { resourceSchema } from './envelope.ts';

/** The order of every pipeline's steps; each is one artifact of the tool of the same name, but the last, which is the server's. */
export const STEP_NAMES = ['import', 'process', 'export', 'split', 'train', 'benchmark', 'register'] as const;
/** All steps that a run may have. `build` is there when the pipeline has a `build` block: native packages of the new version. */
export const RUN_STEP_NAMES = [...STEP_NAMES, 'build'] as const;
export type StepName = (typeof RUN_STEP_NAMES)[number];

/** The steps of a run of this pipeline, in order. */
export function stepNamesOf({ build }: Pick<PipelineSpec, 'build'>): readonly StepName[] {
  return build === undefined ? STEP_NAMES : RUN_STEP_NAMES;
}

export const stepStateSchema = z.enum(['pending', 'running', 'completed', 'failed', 'cancelled', 'skipped']);
export const runPhaseSchema = z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled']);
export type RunPhase = z.infer<typeof runPhaseSchema>;

export const runSpecSchema = z.strictObject({
  pipeline: nameSchema,
  /** The pipeline as it was when the run began; a later edit does not touch the run. */
  pipelineGeneration: z.int().min(1),
  pipelineSpec: pipelineSpecSchema,
  dataset: z.strictObject({ name: z.string(), version: z.int().min(1), digest: sha256Schema, artifact: z.string() }),
  cause: z.strictObject({ type: z.enum(['manual', 'api', 'trigger']), by: z.string() }),
});
export type RunSpec = z.infer<typeof runSpecSchema>;

export const runStepSchema = z.object({
  name: z.enum(RUN_STEP_NAMES),
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
});
export type RunStep = z.infer<typeof runStepSchema>;

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
});
export type RunStatus = z.infer<typeof runStatusSchema>;

export const runSchema = resourceSchema('Run', runSpecSchema, runStatusSchema);
export type Run = z.infer<typeof runSchema>;

/** One point of a metric's curve. `step` is the epoch or the optimiser step, as the metric's name says. */
export const metricPointSchema = z.object({ metric: z.string(), step: z.number(), value: z.number(), at: timestampSchema });
export type MetricPoint = z.infer<typeof metricPointSchema>;
