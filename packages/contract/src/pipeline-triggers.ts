import * as z from 'zod';
import { nameSchema } from './common.ts';
import { driftSchema } from './drift-trigger.ts';

const shared = {
  /** Default: what it is (`schedule`, `dataset`, ...), numbered where there are several. */
  name: nameSchema.max(63).optional(),
  /** Seconds during which further events are counted to the first one and start no run of their own, 0..86,400; default 5. */
  debounceS: z.number().min(0).max(86_400).optional(),
};

/** What starts a run of a pipeline by itself; each entry has exactly one of schedule, dataset, webhook, metric, drift, manual. */
export const triggerSchema = z.union([
  z.literal('manual'),
  z.strictObject({ ...shared, manual: z.literal(true) }),
  z.strictObject({
    ...shared,
    /** Cron: minute, hour, day of month, month, day of week; optionally seconds in front. */
    schedule: z.string().min(1).max(256),
    /** IANA name like `Europe/Paris`; default UTC. */
    timezone: z.string().min(1).max(64).optional(),
    /** When the server was down at the time: `skip` (default) waits for the next one, `once` runs once for all that were missed. */
    missed: z.enum(['skip', 'once']).optional(),
  }),
  /** A new version of this dataset is ready. */
  z.strictObject({ ...shared, dataset: nameSchema }),
  /** A signed POST to /webhooks/{pipeline}/{trigger}. The server makes the secret; it is no part of the pipeline. */
  z.strictObject({ ...shared, webhook: z.strictObject({}) }),
  z.strictObject({
    ...shared,
    metric: z
      .strictObject({
        name: z.string().min(1).max(128),
        /** Whose runs are watched; default this pipeline's own. */
        pipeline: nameSchema.optional(),
        below: z.number().optional(),
        above: z.number().optional(),
      })
      .refine(({ below, above }) => (below === undefined) !== (above === undefined), 'needs either "below" or "above"'),
  }),
  /** What devices answer has moved. */
  z.strictObject({ ...shared, drift: driftSchema }),
]);
export type TriggerSpec = z.infer<typeof triggerSchema>;
export type TriggerKind = 'manual' | 'schedule' | 'dataset' | 'webhook' | 'metric' | 'drift';

export function triggerKindOf(trigger: TriggerSpec): TriggerKind {
  if (trigger === 'manual' || 'manual' in trigger) return 'manual';
  if ('schedule' in trigger) return 'schedule';
  if ('dataset' in trigger) return 'dataset';
  if ('drift' in trigger) return 'drift';
  return 'webhook' in trigger ? 'webhook' : 'metric';
}

/** The name of each trigger, in order. */
export function triggerNamesOf(triggers: readonly TriggerSpec[]): string[] {
  const kinds = triggers.map(triggerKindOf);
  return triggers.map((trigger, at) => {
    const given = trigger === 'manual' ? undefined : trigger.name;
    const kind = kinds[at] ?? 'manual';
    if (given !== undefined) return given;
    const nth = kinds.slice(0, at + 1).filter((other) => other === kind).length;
    return kinds.filter((other) => other === kind).length === 1 ? kind : `${kind}-${nth}`;
  });
}

export const triggersSchema = z
  .array(triggerSchema)
  .max(32)
  .superRefine((triggers, ctx) => {
    const names = triggerNamesOf(triggers);
    names.forEach((name, at) => {
      if (names.indexOf(name) !== at) ctx.addIssue({ code: 'custom', path: [at, 'name'], message: `there are two triggers "${name}"` });
    });
  });
