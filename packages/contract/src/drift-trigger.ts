import * as z from 'zod';
import { nameSchema } from './common.ts';
import { AppError } from './errors.ts';
import { MAX_SELECTOR_LENGTH, parseLabelSelector } from './label-selector.ts';

const DAY_S = 86_400;
/** Results of five minutes each are kept for fourteen days, unless the server was told otherwise. */
const windowSchema = z
  .int()
  .min(60)
  .max(14 * DAY_S);

const selectorSchema = z
  .string()
  .min(1)
  .max(MAX_SELECTOR_LENGTH)
  .superRefine((text, ctx) => {
    try {
      parseLabelSelector(text);
    } catch (error) {
      ctx.addIssue({ code: 'custom', message: error instanceof AppError ? error.message : 'is not a label selector' });
    }
  });

export const DRIFT_SUBJECTS = ['confidence', 'classes'] as const;
export type DriftSubject = (typeof DRIFT_SUBJECTS)[number];

/** What devices answer has moved away from what they answered before, by the population-stability index. */
export const driftSchema = z.strictObject({
  /** Whose answers are looked at: of the version that gives most of them. */
  inferenceModel: nameSchema,
  /** Only of devices with these labels, as in `selvedge device list -l`; default all. */
  selector: selectorSchema.optional(),
  /** What is compared: how sure the answers are, how often each class comes first; default both, where devices count it. */
  of: z.array(z.enum(DRIFT_SUBJECTS)).min(1).max(2).optional(),
  /** Seconds up to now that are compared, 60 to 14 days; default a day. */
  windowS: windowSchema.optional(),
  /** With what: the `first` answers of the version (default), or those just `before` the window. */
  reference: z.enum(['first', 'before']).optional(),
  /** How long that is; default as `windowS`. */
  referenceS: windowSchema.optional(),
  /** Fires when the index is above; default 0.2. */
  psi: z.number().gt(0).max(100).optional(),
  /** Answers that each side must have at least; default 500. Classes need 50 for each class as well. */
  minSamples: z.int().min(1).max(1_000_000_000).optional(),
  /** Fires again for the same version no sooner than this; default as `windowS`. */
  cooldownS: z
    .int()
    .min(60)
    .max(400 * DAY_S)
    .optional(),
});
export type DriftSpec = z.infer<typeof driftSchema>;

/** With its defaults. */
export function settleDrift({ windowS = DAY_S, ...spec }: DriftSpec) {
  return {
    inferenceModel: spec.inferenceModel,
    selector: spec.selector,
    of: spec.of ?? [...DRIFT_SUBJECTS],
    windowS,
    reference: spec.reference ?? ('first' as const),
    referenceS: spec.referenceS ?? windowS,
    psi: spec.psi ?? 0.2,
    minSamples: spec.minSamples ?? 500,
    cooldownS: spec.cooldownS ?? windowS,
  };
}
export type SettledDrift = ReturnType<typeof settleDrift>;
