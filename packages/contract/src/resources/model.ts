import * as z from 'zod';
import { metricValuesSchema, nameSchema, sha256Schema, tensorSpecSchema } from '../common.ts';
import { gateResultSchema } from '../gates.ts';
import { postprocSchema, preprocSchema } from '../processing-spec.ts';
import { documentOf, resourceOf } from './envelope.ts';

const modelSpecSchema = z.strictObject({ description: z.string().max(16_384).optional() });
const modelStatusSchema = z.object({
  /** Alias to version, e.g. { latest: "3" }. `latest` always exists once there is a version. */
  aliases: z.record(z.string(), z.string()),
  versions: z.array(z.string()),
});
export const modelDocumentSchema = documentOf('Model', modelSpecSchema);
export const modelSchema = resourceOf('Model', modelSpecSchema, modelStatusSchema);
export type Model = z.infer<typeof modelSchema>;

/** Where a version comes from: enough to train it again. */
export const lineageSchema = z.strictObject({
  run: z.string(),
  pipeline: nameSchema,
  pipelineGeneration: z.int().min(1),
  dataset: z.strictObject({ name: z.string(), version: z.int().min(1), digest: sha256Schema }),
  parameters: z.record(z.string(), z.unknown()),
  /** Tool name to the digest of the code that ran. */
  tools: z.record(z.string(), z.string()),
  /** The versions that it was made from (fine-tuned, or read by another step): sha256 of the ONNX file of each, by `NAME:V`. */
  models: z.record(z.string(), sha256Schema).optional(),
});

const modelEvaluationSchema = z.strictObject({
  dataset: z.strictObject({ name: z.string(), version: z.int().min(1), digest: sha256Schema }),
  samples: z.int().min(0),
  metrics: metricValuesSchema,
});
export type ModelEvaluation = z.infer<typeof modelEvaluationSchema>;

export const modelVersionSpecSchema = z.strictObject({
  model: nameSchema,
  /** A decimal number, growing by one; kept as a string because imported versions may be named otherwise. */
  version: z.string().regex(/^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$/),
  format: z.literal('onnx'),
  file: z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().min(1) }),
  /** Digest and size of the bundle manifest that devices fetch (see package-manifest). */
  bundle: z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().min(1) }),
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(tensorSpecSchema),
  labels: z.array(z.string()),
  preproc: preprocSchema,
  postproc: postprocSchema,
  metrics: metricValuesSchema,
  lineage: lineageSchema.nullable(),
  /** What it was measured on beside the test data of its own dataset; absent for nothing. */
  evaluations: z.array(modelEvaluationSchema).optional(),
});
export type ModelVersionSpec = z.infer<typeof modelVersionSpecSchema>;
const modelVersionStatusSchema = z.object({
  servedBy: z.int().min(0),
  /** The constraints of its pipeline's task, against its metrics and what was measured on devices; absent without any. */
  gates: z.array(gateResultSchema).optional(),
});
export const modelVersionSchema = resourceOf('ModelVersion', modelVersionSpecSchema, modelVersionStatusSchema);
export type ModelVersion = z.infer<typeof modelVersionSchema>;
