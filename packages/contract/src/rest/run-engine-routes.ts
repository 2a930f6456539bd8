import * as z from 'zod';
import { nameSchema, timestampSchema } from '../common.ts';
import { stepIdSchema } from '../pipeline-steps.ts';
import { runSchema } from '../resources/index.ts';

const name = z.strictObject({ name: nameSchema });
const triggerOfPipeline = z.strictObject({ name: nameSchema, trigger: nameSchema });

export const triggerViewSchema = z.object({
  pipeline: nameSchema,
  name: nameSchema,
  kind: z.enum(['manual', 'schedule', 'dataset', 'webhook', 'metric', 'drift']),
  /** What it waits for, for people. */
  description: z.string(),
  /** Of a schedule: the next time. */
  nextAt: timestampSchema.nullable(),
  /** Events that become a run at `dueAt`, or once the trigger's last run is finished. */
  pending: z.object({ dueAt: timestampSchema, events: z.int().min(1) }).nullable(),
  lastFiredAt: timestampSchema.nullable(),
  lastRun: z.string().nullable(),
  /** Where a webhook is called, below the server's address. */
  webhookPath: z.string().nullable(),
  /** Whether a webhook has a secret; without one it takes no calls. */
  hasSecret: z.boolean(),
});
export type TriggerView = z.infer<typeof triggerViewSchema>;

/** Repeating runs, and triggers. */
export const RUN_ENGINE_ROUTES = {
  rerunRun: {
    method: 'POST',
    path: '/api/v1/runs/{name}/rerun',
    summary: 'Repeat a run with the pipeline and data that it had, all of it or from a step on',
    tag: 'runs',
    scope: 'user',
    params: name,
    body: z.strictObject({ from: stepIdSchema.optional() }),
    response: runSchema,
    status: 202,
  },
  listTriggers: {
    method: 'GET',
    path: '/api/v1/triggers',
    summary: 'Triggers of all pipelines, or of one',
    tag: 'triggers',
    scope: 'user',
    query: z.strictObject({ pipeline: nameSchema.optional() }),
    response: z.object({ items: z.array(triggerViewSchema) }),
  },
  fireTrigger: {
    method: 'POST',
    path: '/api/v1/pipelines/{name}/triggers/{trigger}/fire',
    summary: 'Start a run now, as the trigger would',
    tag: 'triggers',
    scope: 'user',
    params: triggerOfPipeline,
    response: runSchema,
    status: 202,
  },
  makeTriggerSecret: {
    method: 'POST',
    path: '/api/v1/pipelines/{name}/triggers/{trigger}/secret',
    summary: 'Make a new secret for a webhook; it is shown this once, and an earlier one is void',
    tag: 'triggers',
    scope: 'user',
    params: triggerOfPipeline,
    response: z.object({ secret: z.string(), webhookPath: z.string() }),
    status: 201,
  },
  callWebhook: {
    method: 'POST',
    path: '/webhooks/{name}/{trigger}',
    summary: 'Call a webhook: X-Selvedge-Timestamp, and X-Selvedge-Signature: sha256=HMAC-SHA256(secret, timestamp + "." + body)',
    tag: 'triggers',
    scope: 'public',
    params: triggerOfPipeline,
    upload: 'application/octet-stream',
    response: z.object({ accepted: z.literal(true) }),
    status: 202,
  },
} as const;
