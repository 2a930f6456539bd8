import * as z from 'zod';
import { ENGINES, PRECISIONS } from './build-options.ts';
import { packagePathSchema, sha256Schema, tensorSpecSchema } from './common.ts';
import { boxSchema, DATASET_TYPES } from './dataset-formats.ts';
import { nativeManifestSchema, provenanceSchema } from './native-package.ts';
import { jobResourcesSchema } from './train-resources.ts';

/**
 * What the tools of an image pipeline leave in their artifact's `data/` folder for the next one.
 *
 * | tool | artifact type | files |
 * |---|---|---|
 * | import | dataset | dataset.json (datasetInfoSchema), manifest.jsonl (datasetFileSchema per line), files/<path>, report.json (datasetReportSchema) |
 * | process | pixels | info.json (tensorSetSchema, layout HWC; or vector), <split>.x.npy float32 [N,H,W,C] or [N,F], <split>.y.npy int64 [N]; for boxes <split>.boxes.npy; for groups <split>.groups.npy |
 * | export | tensors | info.json (layout CHW, HWC or vector), <split>.x.npy float32 [N,...], the others as process |
 * | split | training-set | as export, with the splits train, validation, test |
 * | train | model | model.onnx, training.json (trainingReportSchema) |
 * | benchmark | benchmark | report.json (benchmarkReportSchema), report.html, report.csv (a row per class), metrics.csv, golden.json (goldenSampleSchema) |
 * | build | package | build.json (buildReportSchema), files.tar.zst (zstd frames with the tar entries of the manifest's files, sorted, and a last one with the end blocks of tar) |
 *
 * .npy is NumPy's format 1.0, C order, little-endian.
 */
export const datasetInfoSchema = z.strictObject({
  formatVersion: z.literal(1),
  type: z.enum(DATASET_TYPES),
  /** Names in the order of the class index. */
  labels: z.array(z.string().max(256)).max(100_000),
  /** Samples per split: pictures, or rows of a table. */
  splits: z.record(z.string(), z.int().min(0)),
  files: z.int().min(0),
  sizeBytes: z.int().min(0),
});
export type DatasetInfo = z.infer<typeof datasetInfoSchema>;

/**
 * One line of manifest.jsonl; lines are sorted by `path` (by code unit), which is below files/. `label` indexes
 * DatasetInfo.labels and is there for image-classification, `boxes` for object-detection, neither for the files of a
 * table (tableSchema; table.json itself has the split "all").
 */
export const datasetFileSchema = z.strictObject({
  path: z.string().min(1).max(1024),
  sha256: sha256Schema,
  sizeBytes: z.int().min(0),
  split: z.string().min(1).max(63),
  label: z.int().min(0).optional(),
  boxes: z.array(boxSchema).max(10_000).optional(),
  /** Samples of one group are never divided among splits: a person, a scene, a camera. */
  group: z.string().min(1).max(256).optional(),
});
export type DatasetFile = z.infer<typeof datasetFileSchema>;

const tensorSplitSchema = z.strictObject({
  count: z.int().min(0),
  x: packagePathSchema,
  /** int64 [N]: the class index of each sample; where there are `boxes`, how many of them each sample has. */
  y: packagePathSchema,
  /**
   * For object detection: float32 [boxes of the split, 5], in the order of the samples. Class index, x1, y1, x2, y2 in pixels of
   * the sample as it is here, after the pixel operations of preproc.
   */
  boxes: packagePathSchema.optional(),
  /** Where the dataset has groups: int64 [N], a number per group of the whole set; samples without one have numbers of their own. */
  groups: packagePathSchema.optional(),
});

/** Either all splits have `boxes` or none has; the same for `groups`. */
export const tensorSetSchema = z.strictObject({
  formatVersion: z.literal(1),
  labels: z.array(z.string()),
  /** Shape of one sample: [H, W, C], [C, H, W], or [F] for a row of a table (layout `vector`). */
  sampleShape: z.array(z.int().min(1)).min(1).max(3),
  layout: z.enum(['HWC', 'CHW', 'vector']),
  /** What black and white pictures are in these tensors, per channel: augmentation changes colours in this range. Pictures only. */
  range: z.strictObject({ black: z.array(z.number()).min(1), white: z.array(z.number()).min(1) }).optional(),
  splits: z.record(z.string(), tensorSplitSchema),
});
export type TensorSet = z.infer<typeof tensorSetSchema>;

export const trainingReportSchema = z.strictObject({
  formatVersion: z.literal(1),
  parameters: z.record(z.string(), z.unknown()),
  epochs: z.int().min(0),
  /** The epoch whose weights were kept: the best by validation accuracy, the last without validation data. */
  bestEpoch: z.int().min(0),
  seconds: z.number().min(0),
  metrics: z.record(z.string(), z.number()),
  /** The tensors of model.onnx: what the registry and the devices know of it without reading the file. */
  inputs: z.array(tensorSpecSchema).min(1),
  outputs: z.array(tensorSpecSchema).min(1),
  /** As far as the training had come when this was written. */
  resources: jobResourcesSchema.optional(),
});
export type TrainingReport = z.infer<typeof trainingReportSchema>;

/** `weights.json` of a model artifact: how the values of each weight are spread, in buckets of one width from `min` to `max`. */
export const weightHistogramsSchema = z.strictObject({
  formatVersion: z.literal(1),
  weights: z.array(
    z.strictObject({
      name: z.string(),
      /** Finite values. */
      count: z.int().min(1),
      min: z.number(),
      max: z.number(),
      mean: z.number(),
      buckets: z.array(z.int().min(0)).min(1).max(100),
    }),
  ),
});
export type WeightHistograms = z.infer<typeof weightHistogramsSchema>;

export const BENCHMARK_KINDS = ['classification', 'detection', 'embedding'] as const;
export type BenchmarkKind = (typeof BENCHMARK_KINDS)[number];

/** One class of a benchmark: the scores that its kind of model has; a ratio without cases is 0. */
const classReportSchema = z.strictObject({
  label: z.string(),
  /** Samples of the class; for detection its objects. */
  support: z.int().min(0),
  /** For detection: of the boxes that the pipeline shows, at IoU 0.50. */
  precision: z.number().optional(),
  recall: z.number().optional(),
  f1: z.number().optional(),
  /** Null unless there are samples of the class and others. */
  rocAuc: z.number().nullable().optional(),
  /** Average precision at IoU 0.50, and its mean over IoU 0.50 to 0.95. */
  ap50: z.number().optional(),
  ap: z.number().optional(),
  /** Share of the queries of an identity whose nearest other picture shows it, and the mean average precision of these. */
  rank1: z.number().optional(),
  map: z.number().optional(),
});
export type ClassReport = z.infer<typeof classReportSchema>;

/** A sample that the model got wrong. `sample` is its row in the test split. */
const mistakeSchema = z.strictObject({
  sample: z.int().min(0),
  /** What it is, and what the model took it for. */
  actual: z.string(),
  predicted: z.string(),
  /** Of what the model took it for, 0..1. */
  confidence: z.number(),
});

export const benchmarkReportSchema = z.strictObject({
  formatVersion: z.literal(1),
  /** Absent in reports of before other models than classifiers were measured. */
  kind: z.enum(BENCHMARK_KINDS).optional(),
  samples: z.int().min(0),
  /**
   * Classification: accuracy, f1, precision, recall (macro), microF1, microPrecision, microRecall, rocAuc, ece (0..1), loss
   * (mean cross-entropy). Detection: mAP@50, mAP@50:95, f1, precision, recall. Embedding: rank1, rank5, mAP.
   */
  metrics: z.record(z.string(), z.number()),
  perClass: z.array(classReportSchema),
  /** confusion[actual][predicted] of a classifier; empty with more than 200 classes. */
  confusion: z.array(z.array(z.int())),
  /** Of a classifier: its samples by confidence, and how many of them are right. */
  calibration: z
    .array(z.strictObject({ from: z.number(), to: z.number(), samples: z.int(), confidence: z.number(), accuracy: z.number() }))
    .optional(),
  /** The worst first, 24 at most. */
  mistakes: z.array(mistakeSchema).optional(),
  latencyMs: z.strictObject({ p50: z.number(), p95: z.number() }),
});
export type BenchmarkReport = z.infer<typeof benchmarkReportSchema>;

/** What the build tool made, not yet signed: the server signs `provenance` and puts both in front of files.tar.zst. */
export const buildReportSchema = z.strictObject({
  formatVersion: z.literal(1),
  engine: z.enum(ENGINES),
  precision: z.enum(PRECISIONS),
  manifest: nativeManifestSchema,
  provenance: provenanceSchema,
  notes: z.array(z.string()),
  seconds: z.number().min(0),
});
export type BuildReport = z.infer<typeof buildReportSchema>;
