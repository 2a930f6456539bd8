import * as z from 'zod';

export const API_VERSION = 'selvedge.dev/v1alpha1';

/** RFC 1123 subdomain: what Kubernetes accepts as a name, so that resources can move there unchanged. */
export const nameSchema = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'must be lower-case letters, digits, "-" and ".", and begin and end with a letter or digit',
  );

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits (lower case)');

/** ISO 8601 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
export const timestampSchema = z.iso.datetime();

const labelKey = z
  .string()
  .max(317)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'is not a valid label key');
const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'is not a valid label value');

/** Kubernetes label syntax: keys with an optional DNS prefix, values up to 63 characters. */
export const labelsSchema = z.record(labelKey, labelValue);

/** What a user writes. */
export const metadataInputSchema = z.strictObject({
  name: nameSchema,
  labels: labelsSchema.optional(),
  annotations: z.record(z.string().max(317), z.string().max(65_536)).optional(),
});

/** What the server returns: `generation` grows when the spec changes, `resourceVersion` with every write. */
export const metadataSchema = z.object({
  name: nameSchema,
  labels: labelsSchema,
  annotations: z.record(z.string(), z.string()),
  uid: z.string(),
  generation: z.int().min(1),
  resourceVersion: z.int().min(1),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Metadata = z.infer<typeof metadataSchema>;

/** A Kubernetes-style condition. `reason` is CamelCase and machine-readable. */
export const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: timestampSchema,
});
export type Condition = z.infer<typeof conditionSchema>;

/** A tensor as ONNX declares it; `null` is a dimension that may vary (the batch). */
export const tensorSpecSchema = z.strictObject({
  name: z.string(),
  dataType: z.enum(['float32', 'float16', 'int8', 'uint8', 'int32', 'int64', 'bool']),
  shape: z.array(z.int().min(0).nullable()),
});
export type TensorSpec = z.infer<typeof tensorSpecSchema>;

/** A named number, e.g. `{ accuracy: 0.987 }`. */
export const metricValuesSchema = z.record(z.string(), z.number());

/** Why a piece of work failed. `code` is one of the error table, or of a newer one; the CLI takes its exit code from it. */
export const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  /** Faults of single files or fields, a thousand at most. */
  issues: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .max(1000)
    .optional(),
});
export type Failure = z.infer<typeof failureSchema>;

/** A relative path inside a package: no "..", no absolute path, no backslash. */
export const packagePathSchema = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/, 'must be a relative path without ".."');
