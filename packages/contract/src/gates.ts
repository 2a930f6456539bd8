import * as z from 'zod';

export const GATE_OPERATORS = ['<=', '>=', '<', '>', '=='] as const;
export type GateOperator = (typeof GATE_OPERATORS)[number];

/** Metrics of a version, as the benchmark tool computes them: 0..1, but the loss. */
export const VERSION_METRICS = [
  'accuracy',
  'f1',
  'precision',
  'recall',
  'loss',
  'microF1',
  'microPrecision',
  'microRecall',
  'rocAuc',
  'ece',
  'mAP@50',
  'mAP@50:95',
  'rank1',
  'rank5',
  'mAP',
] as const;
/** Metrics that only a measurement on a device gives (`selvedge bench`), as its benchmark has them. */
export const DEVICE_METRICS = ['p50Ms', 'p90Ms', 'p95Ms', 'p99Ms', 'imagesPerS', 'rssMiB', 'coldStartMs'] as const;
/** Size of a native package, unpacked. */
export const PACKAGE_METRIC = 'packageMiB';
export const GATE_METRICS = [...VERSION_METRICS, ...DEVICE_METRICS, PACKAGE_METRIC] as const;
export type GateMetric = (typeof GATE_METRICS)[number];

/** Of these, less is better. */
export const LESS_IS_BETTER: readonly string[] = [
  'loss',
  'ece',
  'p50Ms',
  'p90Ms',
  'p95Ms',
  'p99Ms',
  'rssMiB',
  'coldStartMs',
  PACKAGE_METRIC,
];

/** A dataset and perhaps its version: `digits-field@2`; without one, the newest when a run begins. */
export const datasetReferenceSchema = z
  .string()
  .max(264)
  .regex(
    /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(@[1-9]\d{0,8})?$/,
    'must be a dataset, like "digits-field", or a version of one, like "digits-field@2"',
  );

/** @returns the version as a number; undefined where none is named. */
export function splitDatasetReference(reference: string): { name: string; version: number | undefined } {
  const [name = '', version] = reference.split('@');
  return { name, version: version === undefined ? undefined : Number(version) };
}

/** An evaluation criterion in fields. */
export const criterionSchema = z
  .strictObject({
    metric: z.enum(GATE_METRICS),
    /** What the value must come to; without it the value is told and nothing is asked of it. */
    threshold: z.number().optional(),
    /** Default: `<=` where less is better (loss, ece), otherwise `>=`. */
    operator: z.enum(GATE_OPERATORS).optional(),
    /** What the model is measured on, beside the test data of its own dataset. */
    dataset: datasetReferenceSchema.optional(),
  })
  .superRefine(({ metric, threshold, operator, dataset }, ctx) => {
    if (operator !== undefined && threshold === undefined)
      ctx.addIssue({ code: 'custom', path: ['operator'], message: 'needs a threshold to compare with' });
    if (dataset !== undefined && !(VERSION_METRICS as readonly string[]).includes(metric))
      ctx.addIssue({
        code: 'custom',
        path: ['dataset'],
        message: `"${metric}" is not measured on a dataset; those are ${VERSION_METRICS.join(', ')}`,
      });
  });
export type Criterion = z.infer<typeof criterionSchema>;

/** Whether a value is what was wanted. */
export function meetsGate(value: number, operator: GateOperator, wanted: number): boolean {
  switch (operator) {
    case '<=':
      return value <= wanted;
    case '>=':
      return value >= wanted;
    case '<':
      return value < wanted;
    case '>':
      return value > wanted;
    case '==':
      return value === wanted;
  }
}

/** A metric that a benchmark gives, and what it must come to; null where nothing is asked of it. */
export const wantedMetricSchema = z.strictObject({
  metric: z.enum(VERSION_METRICS),
  operator: z.enum(GATE_OPERATORS).nullable(),
  wanted: z.number().nullable(),
});
export type WantedMetric = z.infer<typeof wantedMetricSchema>;

/** One machine-checkable line of a task's constraints or criteria, and how a version does by it. */
export const gateResultSchema = z.object({
  metric: z.enum(GATE_METRICS),
  /** Null for a criterion that names a metric without a bound. */
  operator: z.enum(GATE_OPERATORS).nullable(),
  wanted: z.number().nullable(),
  /** What it was measured on, `digits-field@2`; as the criterion has it while it was not. Absent: the test data of the model's own dataset. */
  dataset: z.string().optional(),
  /** The worst value of all places; null while it was not measured. */
  value: z.number().nullable(),
  /** Null when there is no bound to pass; false as long as it was not measured. */
  passed: z.boolean().nullable(),
  /** Where the value comes from, or what to do to get one. */
  message: z.string(),
});
export type GateResult = z.infer<typeof gateResultSchema>;
