import * as z from 'zod';
import { buildOptionsSchema, targetNameSchema } from './build-options.ts';
import { nameSchema } from './common.ts';
import { stepsSchema } from './pipeline-steps.ts';
import { sweepSchema } from './pipeline-sweep.ts';
import { triggersSchema } from './pipeline-triggers.ts';
import { postprocSchema, preprocSchema } from './processing-spec.ts';
import { trainBlockSchema } from './train-block.ts';

/**
 * The pipeline file: dataset + preproc + model + postproc. The four blocks keep the names and the nesting of the
 * original format, so that existing files are accepted unchanged; the further blocks are optional.
 */

export const hyperparamsSchema = z.strictObject({
  /** Learning rate at the start. */
  lr: z.number().positive().max(100),
  batch_size: z.int().min(1).max(65_536),
  epochs: z.int().min(1).max(100_000),
  optimizer: z.enum(['sgd', 'adam', 'adamw']).optional(),
  /** For sgd; 0..1, default 0.9. */
  momentum: z.number().min(0).lt(1).optional(),
  /** For adamw (default 0.01) and sgd (default 0). */
  weight_decay: z.number().min(0).max(1).optional(),
  /** How lr moves over the run: constant (default), cosine to 0, or step (times `gamma` every `every` epochs). */
  lr_schedule: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('constant') }),
      z.strictObject({ type: z.literal('cosine'), warmup_epochs: z.number().min(0).optional() }),
      z.strictObject({ type: z.literal('step'), every: z.int().min(1), gamma: z.number().positive().max(1) }),
    ])
    .optional(),
  /** Seeds weights, shuffling and dropout; default 0. */
  seed: z.int().min(0).max(0xffff_ffff).optional(),
});
export type Hyperparams = z.infer<typeof hyperparamsSchema>;

/** Some of them, in place of a pipeline's own. */
export const someHyperparamsSchema = hyperparamsSchema.partial();
export type SomeHyperparams = z.infer<typeof someHyperparamsSchema>;

export const splitBlockSchema = z.strictObject({
  /** Share of the training data kept for validation; default 0.1. */
  validation: z.number().min(0).lt(1).optional(),
  seed: z.int().min(0).max(0xffff_ffff).optional(),
});
export type SplitBlock = z.infer<typeof splitBlockSchema>;

const text = z.string().min(1).max(4096);

export const pipelineSpecSchema = z.strictObject({
  dataset: z.strictObject({
    /** A registered dataset. */
    name: text,
    /** Which part of it trains and which tests: a split's name or a folder in the dataset. */
    path: z.strictObject({ train: text, test: text }),
  }),
  model: z.strictObject({
    /** The registry's name of what this pipeline makes. */
    name: text,
    hyperparams: hyperparamsSchema,
  }),
  preproc: preprocSchema,
  postproc: postprocSchema,
  /** The Task that the model is for. */
  task: nameSchema.optional(),
  split: splitBlockSchema.optional(),
  train: trainBlockSchema.optional(),
  /** Native packages to build of every registered version. */
  build: buildOptionsSchema.extend({ targets: z.array(targetNameSchema).min(1).max(16) }).optional(),
  steps: stepsSchema.optional(),
  sweep: sweepSchema.optional(),
  triggers: triggersSchema.optional(),
});
export type PipelineSpec = z.infer<typeof pipelineSpecSchema>;
