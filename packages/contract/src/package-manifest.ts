import * as z from 'zod';
import { nameSchema, packagePathSchema, sha256Schema, tensorSpecSchema } from './common.ts';
import { postprocSchema, preprocSchema } from './processing-spec.ts';

/**
 * `manifest.json` of what a device gets: every file with its sha256, and all that is needed to serve it. Its own
 * sha256 is in the desired state, so nothing that the device runs is unverified. Bytes are canonical: JSON with two
 * spaces of indent, keys in schema order.
 */
export const packageManifestSchema = z.strictObject({
  formatVersion: z.literal(1),
  runtime: z.literal('model-server'),
  model: nameSchema,
  version: z.string().min(1).max(63),
  files: z
    .array(z.strictObject({ path: packagePathSchema, sha256: sha256Schema, sizeBytes: z.int().min(0) }))
    .min(1)
    .max(1000),
  /** Path of the ONNX file among `files`. */
  modelFile: packagePathSchema,
  /** Path of the golden sample among `files` (goldenSampleSchema): the self-test that a version passes before traffic moves to it. */
  goldenFile: packagePathSchema.nullable(),
  inputs: z.array(tensorSpecSchema),
  outputs: z.array(tensorSpecSchema),
  labels: z.array(z.string()),
  preproc: preprocSchema,
  postproc: postprocSchema,
});
export type PackageManifest = z.infer<typeof packageManifestSchema>;

/** One input tensor and the raw output the model gave for it on the server. */
export const goldenSampleSchema = z.strictObject({
  input: z.strictObject({ name: z.string(), shape: z.array(z.int().min(1)), data: z.array(z.number()) }),
  output: z.strictObject({ name: z.string(), shape: z.array(z.int().min(1)), data: z.array(z.number()) }),
  /** Largest allowed absolute difference of an output value. */
  tolerance: z.number().positive(),
});
export type GoldenSample = z.infer<typeof goldenSampleSchema>;
