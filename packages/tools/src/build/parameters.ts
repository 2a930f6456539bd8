import {
  buildOptionsSchema,
  nameSchema,
  postprocSchema,
  preprocSchema,
  sha256Schema,
  targetNameSchema,
  tensorSpecSchema,
} from '@selvedge/contract';
import * as z from 'zod';

/** What the build tool is asked for: one model version for one target. */
export const buildParametersSchema = z.strictObject({
  model: nameSchema,
  version: z.string().min(1).max(63),
  target: targetNameSchema,
  /** sha256 of the ONNX file in the registry; the input `model` must have it. */
  modelSha256: sha256Schema,
  build: buildOptionsSchema.default({}),
  labels: z.array(z.string()).max(100_000),
  preproc: preprocSchema,
  postproc: postprocSchema,
  inputs: z.array(tensorSpecSchema).min(1).max(64),
  outputs: z.array(tensorSpecSchema).min(1).max(64),
  /** What is compared before and after the change of precision. */
  metric: z.literal('accuracy').default('accuracy'),
});
export type BuildParameters = z.output<typeof buildParametersSchema>;

/** Largest loss of accuracy that `precision: auto` accepts: half a point. */
export const DEFAULT_TOLERANCE = 0.005;
/** Training samples that calibration looks at. */
export const DEFAULT_CALIBRATION_SAMPLES = 200;
