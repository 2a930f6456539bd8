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

/** One machine-checkable line of a task's constraints or criteria, and how a version does by it. */
export const gateResultSchema = z.object({
  metric: z.enum(GATE_METRICS),
  /** Null for a criterion that names a metric without a bound. */
  operator: z.enum(GATE_OPERATORS).nullable(),
  wanted: z.number().nullable(),
  /** The worst value of all places; null while it was not measured. */
  value: z.number().nullable(),
  /** Null when there is no bound to pass; false as long as it was not measured. */
  passed: z.boolean().nullable(),
  /** Where the value comes from, or what to do to get one. */
  message: z.string(),
});
export type GateResult = z.infer<typeof gateResultSchema>;
