import * as z from 'zod';
import { failureSchema, nameSchema, timestampSchema } from './common.ts';
import { jobResourcesSchema } from './train-resources.ts';

/** The tools of a pipeline in the order of its steps, the one that builds packages, and the one that shows what all of them measure. */
export const BUILT_IN_TOOLS = ['import', 'process', 'export', 'split', 'train', 'benchmark', 'build', 'visualize'] as const;
export type BuiltInTool = (typeof BUILT_IN_TOOLS)[number];

/** Names that mean something else where tools are named: steps that the server does itself. */
export const STEPS_WITHOUT_TOOL = ['register', 'dataset'] as const;

/**
 * The uniform API of every tool: one process per tool, one artifact at a time, the rest queued on disk.
 *
 * GET    /                                        toolDescriptionSchema
 * GET    /health                                  toolHealthSchema
 * GET    /artifacts                               { items: artifactSummarySchema[] }
 * POST   /artifacts                               artifactRequestSchema -> 202 artifactSummarySchema + Location; the same name and
 *                                                 the same request again -> 200 with the existing one; another request -> 409
 *                                                 (multipart/form-data: a `request` field and file fields = uploaded inputs)
 * GET    /artifacts/{name}/                       artifactSummarySchema
 * DELETE /artifacts/{name}/                       204; cancels it when it is being made
 * POST   /artifacts/{name}/cancel                 202
 * GET    /artifacts/{name}/data                   the file; or a zip of all when there are several
 * GET    /artifacts/{name}/data/{file}            one file (range requests)
 * GET    /artifacts/{name}/files                  { items: [{ path, sizeBytes }] }
 * GET    /artifacts/{name}/status                 artifactStatusSchema
 * GET    /artifacts/{name}/log[?follow=1]         text/plain; follow streams until the artifact is finished
 * GET    /artifacts/{name}/input-parameters       the parameters as given
 * GET    /artifacts/{name}/input-files            { items: [{ name, sizeBytes }] }
 * GET    /artifacts/{name}/input-files/{file}     one file
 * GET    /artifacts/{name}/metrics                { items: [metric name] }
 * GET    /artifacts/{name}/metrics/{metric}/{view}  view: `points`, `latest`, `csv`, `series`, `summary`, `tensorboard`; see
 *                                                 metric-views.ts
 *
 * Every request carries `Authorization: Bearer <tool token>`; the gateway adds it. Metric names have "/" written as "." in URLs.
 */
export const artifactStateSchema = z.enum(['queued', 'in-progress', 'completed', 'failed', 'cancelled']);
export type ArtifactState = z.infer<typeof artifactStateSchema>;

/**
 * A file of this name in an artifact's folder says that the artifact is cancelled although its tool did not get to writing
 * that: who had to end the process leaves it, and the next process takes it as read.
 */
export const CANCEL_MARKER = 'cancel';

export const artifactNameSchema = nameSchema.max(128);

export const artifactStatusSchema = z.object({
  status: artifactStateSchema,
  /** 0..1. */
  progress: z.number().min(0).max(1),
  message: z.string(),
  /** How often the work was begun; 2 or more after a crash. */
  attempt: z.int().min(0),
  createdAt: timestampSchema,
  startedAt: timestampSchema.nullable(),
  finishedAt: timestampSchema.nullable(),
  error: failureSchema.nullable(),
  /** Of work that is done in a process of its own: what it asked for, was given and has used, in this attempt so far. */
  resources: jobResourcesSchema.optional(),
});
export type ArtifactStatus = z.infer<typeof artifactStatusSchema>;

export const artifactRequestSchema = z.strictObject({
  name: artifactNameSchema,
  parameters: z.record(z.string(), z.unknown()),
  /** Named inputs, fetched before the work begins; an artifact's `data` URL of another tool, or any http(s) URL. */
  inputs: z.record(nameSchema, z.strictObject({ url: z.url(), sha256: z.string().optional() })).optional(),
});
export type ArtifactRequest = z.infer<typeof artifactRequestSchema>;

export const artifactSummarySchema = z.object({
  name: artifactNameSchema,
  type: z.string(),
  tool: z.string(),
  url: z.string(),
  state: artifactStatusSchema,
});
export type ArtifactSummary = z.infer<typeof artifactSummarySchema>;

/** A name without anything that could be a path. */
const fileNameSchema = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/, 'must be a file name of letters, digits, ".", "_" and "-"');

/** Something small that a tool can make: enough for whoever wants to see that it works. Inputs are the bytes of one file each. */
export const toolExampleSchema = z.strictObject({
  parameters: z.record(z.string(), z.unknown()).default({}),
  inputs: z
    .record(
      nameSchema,
      z.union([z.strictObject({ file: fileNameSchema, text: z.string() }), z.strictObject({ file: fileNameSchema, base64: z.base64() })]),
    )
    .default({}),
});
export type ToolExample = z.output<typeof toolExampleSchema>;

/** What the description of an input that may be left out begins with. */
export const OPTIONAL_INPUT_MARK = '(optional)';

export const toolDescriptionSchema = z.object({
  name: nameSchema,
  description: z.string(),
  version: z.string(),
  /** Digest of the code that runs, for lineage. */
  codeDigest: z.string(),
  /** Type of artifact made here. */
  makes: z.string(),
  /** Pipeline class: `data` or `models`. */
  class: z.enum(['data', 'models']),
  /** JSON Schema of `parameters`. */
  parameters: z.record(z.string(), z.unknown()),
  /** Names of the inputs with what they hold; "(optional) ..." for those that may be left out. */
  inputs: z.record(z.string(), z.string()),
  example: toolExampleSchema.optional(),
});
export type ToolDescription = z.infer<typeof toolDescriptionSchema>;

export const toolHealthSchema = z.object({ status: z.enum(['ok']), busyWith: z.string().nullable(), queued: z.int().min(0) });
