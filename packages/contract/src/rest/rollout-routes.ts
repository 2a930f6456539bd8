import * as z from 'zod';
import { labelsSchema, nameSchema } from '../common.ts';
import { rolloutSchema, workloadStateSchema } from '../resources/index.ts';
import { rolloutPolicyInputSchema } from '../rollout-policy.ts';

const name = z.strictObject({ name: nameSchema });
const versionName = z.string().min(1).max(63);

const action = <const A extends string>(verb: A, summary: string) =>
  ({
    method: 'POST',
    path: `/api/v1/rollouts/{name}/${verb}`,
    summary,
    tag: 'rollouts',
    scope: 'user',
    params: name,
    response: rolloutSchema,
  }) as const;

export const deployRequestSchema = z.strictObject({
  model: nameSchema,
  /** A version or an alias of it. */
  version: versionName,
  /** Which devices, for an InferenceModel that does not exist yet; all of them without it. */
  nodeSelector: labelsSchema.optional(),
  /** Replaces the policy; null removes it. Without it the policy stays as it is. */
  rollout: rolloutPolicyInputSchema.nullable().optional(),
});
export type DeployRequest = z.infer<typeof deployRequestSchema>;

/** What something was made from: exactly one of dataset (with a version, or all), model with version, and run. */
export const recallSourceSchema = z.strictObject({
  dataset: nameSchema.optional(),
  datasetVersion: z.coerce.number().int().min(1).optional(),
  model: nameSchema.optional(),
  modelVersion: versionName.optional(),
  run: z.string().min(1).max(253).optional(),
});
export type RecallSource = z.infer<typeof recallSourceSchema>;

const modelVersion = z.object({ model: nameSchema, version: z.string() });
export const recallViewSchema = z.object({
  /** Every version that was made from it, also by way of other versions. */
  versions: z.array(modelVersion),
  /** InferenceModels that ask for one of them, or of which a device serves one. */
  deployments: z.array(z.object({ name: nameSchema, model: nameSchema, wanted: z.string() })),
  devices: z.array(
    z.object({ device: nameSchema, online: z.boolean(), deployment: nameSchema, state: workloadStateSchema }).extend(modelVersion.shape),
  ),
});
export type RecallView = z.infer<typeof recallViewSchema>;

/** Changes of what devices serve, and how they get on. Rollouts are read as resources. */
export const ROLLOUT_ROUTES = {
  deployModel: {
    method: 'POST',
    path: '/api/v1/inferencemodels/{name}/deploy',
    summary: 'Let an InferenceModel serve another version; makes it when there is none',
    tag: 'rollouts',
    scope: 'user',
    params: name,
    body: deployRequestSchema,
    response: z.object({
      inferenceModel: nameSchema,
      /** Of the edit; the rollout of it has the same. */
      generation: z.int().min(1),
      version: z.string(),
      action: z.enum(['created', 'configured', 'unchanged']),
    }),
  },
  pauseRollout: action('pause', 'Let no further device go'),
  resumeRollout: action('resume', 'Go on with a paused rollout; a wave that failed is taken as it is'),
  promoteRollout: action('promote', 'Begin the next wave of a rollout that waits for it, or whose wave soaks'),
  abortRollout: {
    ...action('abort', 'End a rollout; devices go back to what they had'),
    /** `keep`: devices that have the new version keep it. */
    body: z.strictObject({ keep: z.boolean().optional() }),
  },
  retryRollout: action('retry', 'Try devices that did not pass once more'),
  findRecall: {
    method: 'GET',
    path: '/api/v1/recall',
    summary: 'Versions, InferenceModels and devices that something went into',
    tag: 'rollouts',
    scope: 'user',
    query: recallSourceSchema,
    response: recallViewSchema,
  },
  recall: {
    method: 'POST',
    path: '/api/v1/recall',
    summary: 'Take versions that something went into from all devices, at once and without windows',
    tag: 'rollouts',
    scope: 'user',
    body: z.strictObject({ ...recallSourceSchema.shape, to: versionName }),
    response: z.object({
      view: recallViewSchema,
      deployments: z.array(z.object({ name: nameSchema, version: z.string(), generation: z.int().min(1) })),
    }),
  },
} as const;
