import * as z from 'zod';
import { API_VERSION, conditionSchema, labelsSchema, nameSchema, sha256Schema } from '../common.ts';
import { rolloutPolicyInputSchema, rolloutPolicySchema } from '../rollout-policy.ts';
import { documentOf, resourceOf } from './envelope.ts';

/** The other API group under which this kind is known: documents written for the Kubernetes model operator apply unchanged. */
export const SEDNA_API_VERSION = 'sedna.io/v1alpha1';

/** Annotation of an InferenceModel: `model-server` keeps devices from running native packages of it. */
export const RUNTIME_ANNOTATION = 'selvedge.dev/runtime';

const versionName = z.string().max(63);

const inferenceModelFileSchema = z.strictObject({
  version: versionName.optional(),
  downloadURL: z.url().optional(),
  sha256sum: sha256Schema.optional(),
});

/**
 * "Serve this model, this version, there." Field for field the spec of the Kubernetes model operator. On a bare fleet
 * every device that matches nodeSelector (and nodeName) serves it; `replicas` caps their number, in order of name.
 */
export const inferenceModelSpecSchema = z.strictObject({
  /** Name in the model registry. */
  modelName: nameSchema,
  deployToLayer: z.enum(['cloud', 'edge']),
  /** The registry's models are `onnx`. */
  frameworkType: z.string().min(1).max(63),
  nodeSelector: labelsSchema.optional(),
  nodeName: z.union([nameSchema, z.literal('')]).optional(),
  /** Wins over manifest and targetVersion when not empty. */
  image: z.string().max(1024).optional(),
  manifest: z.array(inferenceModelFileSchema).max(1000).optional(),
  /** A version or an alias; default `latest`. */
  targetVersion: versionName.optional(),
  /** Port on the device; 0 or absent: the agent picks a free one. */
  servingPort: z.int().min(0).max(65_535).optional(),
  replicas: z.int().min(0).max(1_000_000).optional(),
  /** How changes reach the devices. Beyond the operator's spec; documents without it mean what they always meant. */
  rollout: rolloutPolicySchema.optional(),
});
export type InferenceModelSpec = z.infer<typeof inferenceModelSpecSchema>;

export const workloadStateSchema = z.enum(['pending', 'fetching', 'verifying', 'starting', 'probing', 'serving', 'stopping', 'failed']);
export type WorkloadState = z.infer<typeof workloadStateSchema>;

export const deviceServingSchema = z.object({
  device: nameSchema,
  state: workloadStateSchema,
  servingVersion: z.string().nullable(),
  /** Where the device serves, as seen on the device itself. */
  url: z.string().nullable(),
  message: z.string(),
  /** What serves there: `model-server`, or the name of a native package; absent where the agent does not say. */
  runtime: z.string().optional(),
});
export type DeviceServing = z.infer<typeof deviceServingSchema>;

export const inferenceModelStatusSchema = z.object({
  /** Where it is served; with several devices, the first one's. Empty while nothing serves. */
  url: z.string(),
  /** The version that every selected device serves; empty while they differ. Truth as reported, never intent. */
  servingVersion: z.string(),
  /** What targetVersion resolved to. */
  resolvedVersion: z.string(),
  observedGeneration: z.int().min(0),
  devices: z.array(deviceServingSchema),
  conditions: z.array(conditionSchema),
});
export type InferenceModelStatus = z.infer<typeof inferenceModelStatusSchema>;

/** What was kept before waves had to grow is read all the same. */
const askedSpecSchema = inferenceModelSpecSchema.extend({ rollout: rolloutPolicyInputSchema.optional() });
export const inferenceModelDocumentSchema = documentOf('InferenceModel', askedSpecSchema, [API_VERSION, SEDNA_API_VERSION]);
export const inferenceModelSchema = resourceOf('InferenceModel', inferenceModelSpecSchema, inferenceModelStatusSchema);
export type InferenceModel = z.infer<typeof inferenceModelSchema>;
